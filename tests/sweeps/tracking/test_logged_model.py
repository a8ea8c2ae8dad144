"""Dense networks as logged models: MLflow loads them, and a driver that dies leaves one model, not two."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeps.config import TrackingSettings
from sweeps.tracking import Target, resolve
from sweeps.tracking.content import RunContent
from sweeps.tracking.networks import Network
from sweeps.tracking.runs import SweepRuns

SWEEP = "0123456789ab"


def content_of(network: Path) -> RunContent:
    return RunContent(
        key="k",
        name="dense lenet digits seed 0",
        status="FINISHED",
        params={"model": "lenet", "seed": "0"},
        metrics={"accuracy": 0.9},
        tags={"baseline.key": "k", "kind": "baseline", "sweep.id": SWEEP},
        started_at=1.0,
        ended_at=2.0,
        network=Network(network, (8, 8, 1), 10),
    )


def deliver(target: Target, network: Path, dies_after: str = "") -> SweepRuns:
    def gap(name: str) -> None:
        if name == dies_after:
            raise KeyboardInterrupt

    runs = SweepRuns(target, SWEEP, gap)
    runs.open_parent("sweep", {}, {}, "", 1.0)
    runs.deliver(content_of(network))
    return runs


def test_mlflow_loads_the_dense_network_without_tensorflow_in_the_driver(tmp_path):
    import keras

    shape = (8, 8, 1)
    made = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
    made.save(tmp_path / "model.keras")
    code = (
        "import sys; from pathlib import Path; from tests.sweeps.tracking.test_logged_model import *\n"
        f"root = Path({str(tmp_path)!r})\n"
        "runs = deliver(resolve(TrackingSettings(), root), root / 'model.keras')\n"
        "print(runs.finished['k'], 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    run_id, has_tensorflow = done.stdout.split()
    assert has_tensorflow == "False"

    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        (model,) = mlflow.search_logged_models([mlflow.get_run(run_id).info.experiment_id], output_format="list")
        loaded = mlflow.keras.load_model(f"runs:/{run_id}/dense")
        served = mlflow.pyfunc.load_model(model.model_uri)
    finally:
        mlflow.set_tracking_uri(before)
    x = np.random.default_rng(0).random((3, *shape)).astype("float32")
    expected = made.predict(x, verbose=0)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    np.testing.assert_array_equal(served.predict(x), expected)
    assert served.metadata.signature.inputs.inputs[0].shape == (-1, *shape)
    assert model.params == {"model": "lenet", "seed": "0"}
    assert {metric.key: metric.value for metric in model.metrics} == {"accuracy": 0.9}


@pytest.mark.parametrize("gap", ["files logged", "network logged"])
def test_a_delivery_that_is_repeated_makes_no_second_model(tmp_path, gap):
    network = tmp_path / "model.keras"
    network.write_bytes(b"weights")
    target = resolve(TrackingSettings(), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        deliver(target, network, dies_after=gap)
    runs = deliver(target, network)
    (model,) = runs.client.search_logged_models([runs.experiment_id])
    run = runs.client.get_run(runs.finished["k"])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert model.status == "READY"
