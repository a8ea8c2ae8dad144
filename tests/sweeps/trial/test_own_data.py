"""A person's own network with their own arrays: it gets the shape and the numbers that it was made for.

Labels are the network's own answers, half of each class: with other numbers it does not get all of them right.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

from prune_core import data
from prune_core.errors import UserError
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Plan, Result
from sweeps.store import ResultStore
from sweeps.terminal import headline
from sweeps.tracking.content import SweepContent
from sweeps.trial import summary

L = keras.layers
RNG = np.random.default_rng(0)
SAMPLES = 240
KEPT = "values stay as they are, since the network begins with"


class Case(NamedTuple):
    """A network's layers, its input, samples as they are stored, and as the network takes them."""

    layers: Callable[[], list]
    input: Callable[[], keras.KerasTensor]
    stored: np.ndarray
    macs: int
    signature: tuple[int, ...]
    dtype: str = "float32"
    remark: str = ""


def whole(*shape: int, below: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, below, (SAMPLES, *shape)).astype(dtype)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal((SAMPLES, *shape), np.float32)


CASES = {
    "bytes without a channel, any size, scaled by the network": Case(
        lambda: [L.Rescaling(1 / 255), L.Conv2D(3, 3, activation="relu"), L.GlobalAveragePooling2D()],
        lambda: keras.Input((None, None, 1)),
        whole(6, 5),
        (4 * 3) * (3 * 3 * 3) + 3 * 2,
        (-1, -1, -1, 1),
        remark=f"uint8 {KEPT} the Rescaling 'rescaling' (datasets.npz.scale)",
    ),
    "bytes that become fractions": Case(
        lambda: [L.Conv2D(3, 3, activation="relu"), L.Flatten()],
        lambda: keras.Input((6, 5, 1)),
        whole(6, 5),
        (4 * 3) * (3 * 3 * 3) + 36 * 2,
        (-1, 6, 5, 1),
        remark="uint8 values are divided by 255 (datasets.npz.scale)",
    ),
    "words by number": Case(
        lambda: [L.Embedding(20, 4), L.Dense(3, activation="relu"), L.GlobalAveragePooling1D()],
        lambda: keras.Input((None,), dtype="int32"),
        whole(7, below=20, dtype=np.int64),
        7 * 4 * 3 + 3 * 2,
        (-1, -1),
        "int32",
        remark=f"int64 {KEPT} the Embedding 'embedding' (datasets.npz.scale)",
    ),
    "a series for a convolution": Case(
        lambda: [L.Conv1D(3, 4, activation="relu"), L.GlobalAveragePooling1D()],
        lambda: keras.Input((None, 2)),
        floats(9, 2),
        6 * (4 * 2 * 3) + 3 * 2,
        (-1, -1, 2),
    ),
    "a series of one feature without its axis": Case(
        lambda: [L.Conv1D(3, 4, activation="relu"), L.Flatten()],
        lambda: keras.Input((9, 1)),
        floats(9),
        6 * (4 * 3) + 18 * 2,
        (-1, 9, 1),
    ),
    "a series for a recurrent layer": Case(
        lambda: [L.Dense(3, activation="relu"), L.LSTM(4)],
        lambda: keras.Input((9, 2)),
        floats(9, 2),
        9 * (2 * 3 + 3 * 16 + 4 * 16) + 4 * 2,  # four gates of four units at every step
        (-1, 9, 2),
    ),
}


def balanced(case: Case) -> tuple[keras.Model, np.ndarray]:
    """The network, and its answers as labels."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    model = keras.Sequential([case.input(), *case.layers(), L.Dense(2, name="last")])
    x = case.stored.astype("float32") / (255 if "divided" in case.remark else 1)
    x = x.reshape(len(x), *(size or own for size, own in zip(model.input_shape[1:], (*x.shape[1:], 1), strict=False)))
    outputs = np.asarray(model(x))
    model.layers[-1].bias.assign([0, float(np.median(outputs[:, 0] - outputs[:, 1]))])
    return model, np.asarray(model(x)).argmax(axis=1)


def plan_of(folder: Path, *overrides: str) -> Plan:
    files = [f"models.keras_file.path={folder}/mine.keras", f"datasets.npz.path={folder}/mine.npz"]
    chosen = ["model=keras_file", "dataset=npz", f"storage.root={folder}", "measure.latency_batch_size=4"]
    return make_plan(settings_of(compose([*chosen, *files, *overrides])))


def planned(folder: Path, case: Case, *overrides: str) -> tuple[Plan, ResultStore]:
    model, y = balanced(case)
    assert set(np.bincount(y)) == {SAMPLES // 2}
    model.save(folder / "mine.keras")
    np.savez(folder / "mine.npz", x_train=case.stored, y_train=y[:, None])
    store = ResultStore(folder)
    store.prepare()
    return plan_of(folder, *overrides), store


def run(plan: Plan, store: ResultStore) -> list[Result]:
    results = []
    for work in plan:
        baseline = plan.baselines[0]
        samples = data.load(baseline.dataset, baseline.dataset_config, store.root)
        for _ in trial.run(work, samples, store):
            pass
        results.append(store.load(work.key))
    return results


@pytest.mark.parametrize("name", CASES)
def test_the_network_is_as_good_as_at_home_and_counted_and_timed(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    plan, store = planned(tmp_path, case, "method=weight", "sparsities=[0.5]")
    dense, pruned = run(plan, store)
    assert dense.metrics["accuracy"] == dense.metrics["val_accuracy"] == 1
    assert dense.metrics["macs"] == pruned.metrics["macs_baseline"] == case.macs
    assert 0 < pruned.metrics["macs"] < case.macs
    assert pruned.metrics["speedup"] > 0
    said = [
        line for line in headline(plan, "here", "there") if line.startswith("keras_file (mine.keras) on npz (mine.npz)")
    ]
    assert said == ([f"keras_file (mine.keras) on npz (mine.npz): {case.remark}"] if case.remark else [])
    assert dense.tags.get("data", "") == case.remark
    assert "warning" not in dense.tags
    network = SweepContent(plan, 0.0, {}).of_result(plan.baselines[0], dense, store.folder(dense.key), False).network
    assert network is not None
    assert (-1, *(-1 if n is None else n for n in network.input_shape)) == case.signature
    assert network.dtype == case.dtype


@pytest.mark.parametrize("name", ["words by number", "bytes without a channel, any size, scaled by the network"])
def test_importance_looks_at_the_same_numbers(name: str, tmp_path: Path) -> None:
    plan, store = planned(tmp_path, CASES[name], "method=importance", "thresholds=[0.5]", "measure.latency=false")
    _, pruned = run(plan, store)
    shape = CASES[name].stored.shape[1:]
    seen = summary.load(store.folder(pruned.key) / summary.SUMMARY_FILE).relevance
    assert seen is not None
    assert seen.shape == (shape if "words" in name else (*shape, 1))
    assert seen.sum() == pytest.approx(1, abs=1e-4)


def test_networks_that_differ_in_what_they_take_share_one_file(tmp_path: Path) -> None:
    case = CASES["bytes without a channel, any size, scaled by the network"]
    both, _ = planned(tmp_path, case, "method=weight", "model=[keras_file,lenet_300_100]")
    given, built_in = both.baselines
    assert (given.dataset_config["scale"], built_in.dataset_config["scale"]) == ("none", "auto")
    assert built_in.remark == ""
    asked = plan_of(tmp_path, "method=weight", "datasets.npz.scale=none")
    assert [baseline.key for baseline in asked.baselines] == [given.key]


@pytest.mark.parametrize(
    ("stored", "found"),
    [(whole(7, below=25, dtype=np.int64), "from 0 to 24"), (floats(7), "the samples hold fractions")],
)
def test_words_that_the_network_does_not_know_are_refused(stored: np.ndarray, found: str, tmp_path: Path) -> None:
    plan, store = planned(tmp_path, CASES["words by number"], "method=weight")
    np.savez(tmp_path / "mine.npz", x_train=stored, y_train=np.arange(SAMPLES) % 2)
    plan = plan_of(tmp_path, "method=weight")
    with pytest.raises(UserError, match=f"{found}.* the Embedding 'embedding', which takes whole numbers from 0 to 19"):
        run(plan, store)


def test_fractions_for_a_network_that_divides_again_are_warned_about(tmp_path: Path) -> None:
    case = CASES["bytes without a channel, any size, scaled by the network"]
    plan, store = planned(tmp_path, case._replace(stored=case.stored / np.float32(255)), "method=weight")
    (dense,) = run(Plan(plan.sweep_id, plan.baselines, ()), store)
    assert "the network scales them again, since it begins with the Rescaling 'rescaling'" in dense.tags["warning"]
