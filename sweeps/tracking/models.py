"""A dense network as a logged model of MLflow, which `mlflow.keras.load_model` and `mlflow.pyfunc.load_model` load.

MLflow's own `log_model` takes a network in memory. The driver has none and imports no TensorFlow: the few files of the
format (as `mlflow.keras.save_model` of MLflow 3.17 writes them) are put around the saved network here. No pickles.
"""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.tracking.artifacts import DIGEST, Expected, digest_of, digest_of_text, folder_at, sizes_of, staged, sync
from sweeps.tracking.content import RunContent
from sweeps.tracking.networks import Network
from sweeps.tracking.provenance import provenance

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

MODEL_NAME = "dense"
"""Name of every logged model: `runs:/<run id>/dense`."""
_KERAS_FILE = "data/model.keras"
_TEXTS = ("MLmodel", "requirements.txt", "data/keras_module.txt")


def log_network(client: "MlflowClient", run_id: str, network: Network, content: RunContent, prefix: str) -> None:
    """Make `network` a logged model of the run, with the params and metrics of the run.

    Can be called again: what is there is completed, not repeated. `prefix` is that of a temporary folder.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    run = client.get_run(run_id)
    experiment_id = run.info.experiment_id
    found = models_of(client, experiment_id, run_id)
    params = dict(content.params)
    model = found[0] if found else client.create_logged_model(experiment_id, MODEL_NAME, run_id, params=params)
    if not is_intact(client, model, network.file, network.digest):
        _upload(client, model, network, prefix)
        at = round(content.ended_at * 1000)
        metrics = [Metric(name, value, at, 0, model.model_id) for name, value in content.metrics.items()]
        client.log_batch(run_id, metrics)
        sync(model.artifact_location)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if not (run.outputs and any(output.model_id == model.model_id for output in run.outputs.model_outputs)):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def models_of(client: "MlflowClient", experiment_id: str, run_id: str) -> "list[LoggedModel]":
    """The logged models of a run: one, or none."""
    return list(client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"))


def is_intact(client: "MlflowClient", model: "LoggedModel", network: Path, digest: str) -> bool:
    """Whether a logged model is complete and holds this file of a network, whose sha256 is `digest` ("": unknown)."""
    from mlflow.entities import LoggedModelStatus

    if model.status != LoggedModelStatus.READY:
        return False
    digests = {_KERAS_FILE: digest} if digest else {}
    expected = Expected({_KERAS_FILE: network}, digests, _TEXTS, model.tags.get(DIGEST, ""))
    folder = folder_at(model.artifact_location)
    if folder is not None:
        return expected.is_in(folder)
    listed = [*client.list_logged_model_artifacts(model.model_id)]
    listed += client.list_logged_model_artifacts(model.model_id, "data")
    return expected.has(sizes_of(listed))


def _upload(client: "MlflowClient", model: "LoggedModel", network: Network, prefix: str) -> None:
    versions = provenance()
    contents = (
        json.dumps(_description(model, network, versions), indent=1),  # JSON is YAML
        f"keras=={versions['version.keras']}\n",
        "keras",
    )
    texts = dict(zip(_TEXTS, contents, strict=True))
    digests = {_KERAS_FILE: network.digest} | {name: digest_of_text(text) for name, text in texts.items()}
    if network.digest:
        client.set_logged_model_tags(model.model_id, {DIGEST: digest_of(digests)})
    with staged({_KERAS_FILE: network.file}, texts, prefix) as folder:
        client.log_model_artifacts(model.model_id, str(folder))


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
