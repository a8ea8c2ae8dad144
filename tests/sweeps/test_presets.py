"""Every preset really runs, shrunk: real training, pruning and report; without Ray, which adds nothing here."""

from pathlib import Path

import pytest

from prune_core import data
from sweeps import trial
from sweeps.compose import choices, compose
from sweeps.plan import make_plan
from sweeps.reporting import redraw
from sweeps.reporting.results import rows_of_store
from sweeps.schema import settings_of
from sweeps.store import ResultStore

TINY = ["debug=quick", "dataset=mnist_5k", "datasets.mnist_5k.train_limit=400", "training.epochs=1"]
TINY += ["training.finetune.epochs=1", "measure.latency=false"]
# Axes that debug=quick leaves as they are.
FEWER = {
    "all_methods": ["recovery=none"],
    "clustering_after_pruning": ["sparsities=[0.8]", "n_clusters=[null,16]"],
    "zero_cluster_mnist": ["recovery=none", "methods.threshold.grid.n_clusters=[null,[9,24,110,13]]"],
}
QUICK = ("importance_mnist", "zero_cluster_mnist")


def cases() -> list:
    return [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow, id=name) for name in choices()["experiment"]
    ]


@pytest.mark.parametrize("name", cases())
def test_a_preset_runs(name: str, tmp_path: Path) -> None:
    overrides = [f"experiment={name}", *TINY, *FEWER.get(name, []), f"storage.root={tmp_path}"]
    settings = settings_of(compose(overrides))
    plan = make_plan(settings)
    store = ResultStore(tmp_path)
    store.prepare()
    (dataset,) = settings.datasets
    digits = data.load(dataset, settings.datasets[dataset], tmp_path)
    for work in plan:
        steps = list(trial.run(work, digits, store))
        assert steps[-1][0] == 1.0
    rows = rows_of_store(plan, store)
    assert len(rows) == len(plan)
    for row in rows:
        assert 0.05 <= row.result.metrics["accuracy"] <= 1
        if row.work.kind == "trial" and row.work.parameters["granularity"] == "unit":
            assert row.result.metrics["shrink_difference"] <= 1e-5
    page = redraw.first_time(settings, plan, rows, [], 1.0)["report.html"].read_text()
    for method in settings.methods:
        assert method in page
    # The presets' published numbers are about another dataset than this small one.
    assert "Beside the source" not in page
    if name == "zero_cluster_mnist":
        assert "Distinct values" in page
