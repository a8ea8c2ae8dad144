"""A dense network as a logged model of MLflow, which `mlflow.keras.load_model` and `mlflow.pyfunc.load_model` load.

MLflow's own `log_model` takes a network in memory. The driver has none and imports no TensorFlow: the few files of the
format (as `mlflow.keras.save_model` of MLflow 3.17 writes them) are put around the saved network here. No pickles.
"""

import json
import platform
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.provenance import provenance
from sweeps.run_content import Network, RunContent

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

MODEL_NAME = "dense"
"""Of every logged model: `runs:/<run id>/dense`."""
_KERAS_FILE = "data/model.keras"


def log_network(client: "MlflowClient", run_id: str, network: Network, content: RunContent) -> None:
    """Make `network` a logged model of the run, with the params and metrics of the run.

    Can be called again: what is there is completed, not repeated.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    run = client.get_run(run_id)
    experiment_id = run.info.experiment_id
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    params = dict(content.params)
    model = found[0] if found else client.create_logged_model(experiment_id, MODEL_NAME, run_id, params=params)
    if model.status != LoggedModelStatus.READY:
        _upload(client, model, network)
        at = round(content.ended_at * 1000)
        metrics = [Metric(name, value, at, 0, model.model_id) for name, value in content.metrics.items()]
        client.log_batch(run_id, metrics)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if not (run.outputs and any(output.model_id == model.model_id for output in run.outputs.model_outputs)):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def _upload(client: "MlflowClient", model: "LoggedModel", network: Network) -> None:
    versions = provenance()
    with tempfile.TemporaryDirectory(prefix="prune-sweep-") as staged:
        folder = Path(staged)
        (folder / _KERAS_FILE).parent.mkdir()
        (folder / _KERAS_FILE).symlink_to(network.file.resolve(strict=True))
        (folder / "data" / "keras_module.txt").write_text("keras")
        (folder / "MLmodel").write_text(json.dumps(_description(model, network, versions), indent=1))  # JSON is YAML
        (folder / "requirements.txt").write_text(f"keras=={versions['version.keras']}\n")
        client.log_model_artifacts(model.model_id, staged)


def _description(model: "LoggedModel", network: Network, versions: Mapping[str, str]) -> dict[str, Any]:
    keras = {"data": "data", "keras_backend": "tensorflow", "save_exported_model": False}
    described: dict[str, Any] = {
        "artifact_path": model.artifact_location,
        "flavors": {
            "keras": {**keras, "keras_version": versions["version.keras"]},
            "python_function": {"loader_module": "mlflow.keras", "python_version": platform.python_version()},
        },
        "mlflow_version": versions["version.mlflow"],
        "model_id": model.model_id,
        "model_uuid": model.model_id,
        "run_id": model.source_run_id,
        "model_size_bytes": network.file.stat().st_size,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if network.input_shape and network.outputs:
        inputs, outputs = _tensors(network.dtype, *network.input_shape), _tensors("float32", network.outputs)
        described["signature"] = {"inputs": inputs, "outputs": outputs}
    return described


def _tensors(dtype: str, *shape: int | None) -> str:
    """MLflow's description of one tensor, any number of samples of `shape`; None: an axis of any length."""
    lengths = [-1, *(-1 if n is None else n for n in shape)]
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": lengths}}])
