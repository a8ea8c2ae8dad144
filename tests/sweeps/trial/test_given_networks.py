"""A person's own network in a sweep: how its outputs are read, and that what was zero stays zero."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import UserError, data, decode, prune
from prune_core.training import evaluate
from prune_core.weights import weight_variables
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Result
from sweeps.store import ResultStore
from sweeps.tracking.content import SweepContent
from sweeps.trial.warm_baseline import WarmBaseline

RNG = np.random.default_rng(0)
X = RNG.random((300, 6), dtype=np.float32)
Y = (X[:, 0] + X[:, 1] > 1).astype(int)


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    keras.utils.set_random_seed(0)


def network(*end: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((6,)), L.Dense(16, "relu", name="dense_1"), *end])


def swept(folder: Path, model: keras.Model, *overrides: str, y: np.ndarray = Y) -> tuple[list[Result], ResultStore]:
    """Results of the dense network and its trials, computed as by a worker."""
    model.save(folder / "mine.keras")
    np.savez(folder / "mine.npz", x_train=X, y_train=y)
    own = [f"models.keras_file.path={folder}/mine.keras", f"datasets.npz.path={folder}/mine.npz"]
    quick = ["training.epochs=12", "training.learning_rate=0.02", "training.batch_size=32", "measure.latency=false"]
    chosen = ["model=keras_file", "dataset=npz", "method=weight", "sparsities=[0.3]", f"storage.root={folder}"]
    settings = settings_of(compose([*chosen, *own, *quick, *overrides]))
    plan = make_plan(settings)
    store = ResultStore(folder)
    store.prepare()
    loaded = data.load("npz", settings.datasets["npz"], folder)
    results = []
    for work in plan:
        for _ in trial.run(work, loaded, store):
            pass
        results.append(store.load(work.key))
        if work is plan.baselines[0]:
            (parts,) = [SweepContent(plan, 0.0, {}).of_result(work, results[0], store.folder(work.key), cached=False)]
            assert parts.network.outputs == (1 if model.output_shape[1:] == (1,) else model.output_shape[1])
    return results, store


def test_a_binary_network_is_trained_pruned_and_fine_tuned(tmp_path):
    model = network(L.Dense(1, "sigmoid", name="output"))
    (dense, *trials), store = swept(tmp_path, model, "models.keras_file.train=true", "recovery=[none,finetune]")
    assert dense.tags["outputs"] == "probability of class 1"
    assert dense.metrics["accuracy"] > 0.85
    assert "warning" not in dense.tags
    assert trials[1].metrics["accuracy"] > 0.85
    assert trials[1].metrics["loss"] < trials[0].metrics["loss"]
    for result in trials:
        delivered = decode((store.folder(result.key) / "network.pruned").read_bytes())
        assert delivered.output_shape == (None, 1)
        assert evaluate(delivered, X, Y).accuracy == pytest.approx(result.metrics["accuracy"], abs=0.1)


def test_the_loss_in_the_file_tells_what_the_graph_does_not(tmp_path):
    """A Lambda or a bare operation hides what the answers are; the file's loss is read, not executed."""

    def hidden() -> keras.Model:
        start = keras.Input((6,))
        return keras.Model(start, keras.ops.einsum("ij->ij", network(L.Dense(2, name="output"))(start)))

    model = hidden()
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=False))
    (dense, result), store = swept(tmp_path, model)
    assert dense.tags["outputs"] == "probabilities"
    assert not WarmBaseline.of(dense.key, store).model.compiled
    clipped = np.clip(np.array(model(X), np.float64), 1e-7, 1)
    likely = (clipped / clipped.sum(axis=1, keepdims=True))[np.arange(len(X)), Y]
    assert dense.metrics["loss"] == pytest.approx(-np.log(likely).mean(), rel=0.5)
    assert result.metrics["loss"] < 20
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    (folder := tmp_path / "other").mkdir()
    assert swept(folder, model)[0][0].tags["outputs"] == "logits"


@pytest.mark.parametrize("hold", ["true", "false"])
def test_what_was_pruned_before_stays_so_where_it_is_trained_further(hold, tmp_path):
    given = prune(network(L.Dense(2, "softmax", name="output")), "weight", sparsity=0.8).model
    overrides = ["models.keras_file.train=true", f"models.keras_file.hold_zeros={hold}", "recovery=finetune"]
    (dense, result), store = swept(tmp_path, given, *overrides)
    delivered = decode((store.folder(result.key) / "network.pruned").read_bytes())
    zeros = np.array(weight_variables(given)["dense_1/kernel"]) == 0
    came_back = np.array(weight_variables(delivered)["dense_1/kernel"])[zeros]
    if hold == "true":
        assert dense.metrics["zeros_held"] == result.metrics["zeros_held"] == zeros.sum()
        assert "stay zero (models.keras_file.hold_zeros)" in dense.tags["warning"]
        assert "stay zero (hold_zeros=false" in result.tags["warning"]
        assert not came_back.any()
    else:
        assert "zeros_held" not in dense.metrics
        assert came_back.any()


def test_one_output_for_three_classes_is_refused_while_planning(tmp_path):
    with pytest.raises(UserError, match="has 1 outputs for a dataset of 3 classes"):
        swept(tmp_path, network(L.Dense(1, "sigmoid", name="output")), y=np.arange(300) % 3)


def test_one_output_that_tells_a_quantity_is_refused(tmp_path):
    model = network(L.Dense(1, name="output"), L.Reshape((1,)))
    model.compile(loss="mse")
    with pytest.raises(UserError, match="tells a quantity, not a class"):
        swept(tmp_path, model)
