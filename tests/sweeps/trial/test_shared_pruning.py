"""Trials that differ in their codebook alone prune and train once, and have the results that each would have alone."""

from pathlib import Path

import pytest

from prune_core import data
from sweeps import trial
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Result
from sweeps.store import ResultStore

SMALL = ["dataset=digits", "model=lenet_300_100", "training=fast", "training.epochs=1", "measure.latency=false"]


def run(folder: Path, *overrides: str) -> tuple[ResultStore, list[Result]]:
    settings = settings_of(compose([*SMALL, f"storage.root={folder}", *overrides]))
    plan, store = make_plan(settings), ResultStore(folder)
    store.prepare()
    digits = data.load("digits", settings.datasets["digits"], folder)
    for work in plan:
        for _ in trial.run(work, digits, store):
            pass
    results = [store.load(work.key) for work in plan.trials]
    assert None not in results
    return store, results


@pytest.mark.parametrize(
    "method",
    [pytest.param(("method=weight", "sparsities=[0.8]"), marks=pytest.mark.slow), ("method=unit", "sparsities=[0.5]")],
)
def test_one_pruning_serves_every_codebook(method: tuple[str, str], tmp_path: Path) -> None:
    alone, (expected,) = run(tmp_path / "alone", *method, "recovery=finetune", "n_clusters=4")
    together, results = run(tmp_path / "together", *method, "recovery=finetune", "n_clusters=[null,16,4]")
    assert ["finetune" in result.spans for result in results] == [True, False, False]
    last = results[-1]
    assert last.key == expected.key
    assert last.metrics == expected.metrics
    for name in ("network.pruned", "masks.npz"):
        assert (together.folder(last.key) / name).read_bytes() == (alone.folder(last.key) / name).read_bytes()
    assert "unique_values" not in results[0].metrics


def test_another_point_is_pruned_anew(tmp_path: Path) -> None:
    _, results = run(tmp_path, "method=weight", "sparsities=[0.5,0.8]", "n_clusters=[4,8]")
    assert ["score" in result.spans for result in results] == [True, False, True, False]
    assert [round(result.metrics["sparsity"], 3) for result in results] == [0.5, 0.5, 0.8, 0.8]
