"""Every preset really runs, shrunk: real training, pruning and report; without Ray, which adds nothing here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prune_core import data
from sweeps import trial
from sweeps.config import choices, settings_of
from sweeps.config.compose import compose
from sweeps.engine.search import PointSource
from sweeps.plan import make_plan
from sweeps.reporting import redraw
from sweeps.reporting.results import Row
from sweeps.specs import Plan, Work
from sweeps.store import ResultStore

TINY = ["debug=quick", "dataset=mnist_5k", "datasets.mnist_5k.train_limit=400", "training.epochs=1"]
TINY += ["training.finetune.epochs=1", "measure.latency=false"]
# Axes that debug=quick leaves as they are.
FEWER = {
    "all_methods": ["recovery=none"],
    "clustering_after_pruning": ["sparsities=[0.8]", "n_clusters=[null,16]"],
    "sensitivity": ["sparsities=[0.5]"],
    "zero_cluster_mnist": ["recovery=none", "methods.threshold.grid.n_clusters=[null,[9,24,110,13]]"],
}


def works(plan: Plan, store: ResultStore, folder: Path) -> Iterator[Work]:
    """All work of a plan; searches are told of each result before they are asked for the next point."""
    yield from plan
    for search in plan.searches:
        points = PointSource(search, folder / search.key)
        while not points.exhausted:
            number, proposed = points.propose()
            yield proposed
            points.tell(number, store.load(proposed.key).metrics)


@pytest.mark.parametrize("name", choices()["experiment"])
def test_a_preset_runs(name: str, tmp_path: Path) -> None:
    overrides = [f"experiment={name}", *TINY, *FEWER.get(name, []), f"storage.root={tmp_path}"]
    settings = settings_of(compose(overrides))
    plan = make_plan(settings)
    store = ResultStore(tmp_path)
    store.prepare()
    (dataset,) = settings.datasets
    digits = data.load(dataset, settings.datasets[dataset], tmp_path)
    rows = []
    for work in works(plan, store, tmp_path):
        steps = list(trial.run(work, digits, store))
        assert steps[-1][0] == 1.0
        rows.append(Row(work, store.load(work.key)))
    assert len(rows) == len(plan)
    for row in rows:
        assert 0.05 <= row.result.metrics["accuracy"] <= 1
        if row.work.kind == "trial" and row.work.parameters["granularity"] == "unit":
            assert row.result.metrics["shrink_difference"] <= 1e-5
    page = redraw.first_time(settings, plan, rows, [], {"work": 1.0})["report.html"].read_text()
    for method in settings.methods:
        assert method in page
    # The presets' published numbers are about another dataset than this small one.
    assert "Beside the source" not in page
    if name == "zero_cluster_mnist":
        assert "Distinct values" in page
