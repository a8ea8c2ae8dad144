"""Trackers of small sweeps, and what MLflow holds of them."""

from collections import Counter
from pathlib import Path

from sweeps.config import TrackingSettings
from sweeps.specs import Plan
from sweeps.store import ResultStore
from sweeps.tracking import Tracker
from tests.helpers.sweep_fixtures import Settings, Storage, commit

PATIENCE_S = 300  # far more than it takes: the machine may be busy


def make_tracker(root: Path, plan: Plan, problems: list[str] | None = None, **tracking: object) -> Tracker:
    settings = Settings(Storage(root), TrackingSettings(**tracking))  # type: ignore[arg-type]
    told = [] if problems is None else problems
    return Tracker(settings, plan, prepared_store(root), {"seeds": [0]}, told.append, "python sweeps/run.py method=x")


def prepared_store(root: Path) -> ResultStore:
    store = ResultStore(root)
    store.prepare()
    return store


def run_sweep(
    root: Path, plan: Plan, cached: bool = False, problems: list[str] | None = None, **tracking: object
) -> int:
    """Deliver all of a plan, making the results that are not there."""
    tracker = make_tracker(root, plan, problems, **tracking)
    store = prepared_store(root)
    tracker.start()
    for work in plan:
        tracker.finished(work, store.load(work.key) or commit(store, work), cached)
    return tracker.finish("FINISHED", {}, {"trials": len(plan.trials)}, PATIENCE_S)


def runs_of(client, sweep_id: str) -> list:
    experiment = client.get_experiment_by_name("prune-sweep")
    return client.search_runs([experiment.experiment_id], f"tags.`sweep.id` = '{sweep_id}'", max_results=1000)


def key_of(run) -> str:
    return run.data.tags.get("trial.key") or run.data.tags.get("baseline.key", "parent")


def assert_each_once(client, plan: Plan) -> None:
    """Every piece of work and the sweep itself have exactly one run, and it is finished."""
    runs = runs_of(client, plan.sweep_id)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert Counter(key_of(run) for run in runs) == Counter([work.key for work in plan] + ["parent"])
