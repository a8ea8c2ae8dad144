"""The tracker against real MLflow on a database file."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.specs import Failure, Plan
from sweeps.store import ResultStore
from sweeps.tracking import Tracker, receiver
from tests.helpers.drivers import client_of
from tests.helpers.sweep_fixtures import (
    Settings,
    Storage,
    baseline,
    commit,
    grid,
    metrics_of,
    plan_of,
    result_of,
    trial,
)
from tests.helpers.trackers import (
    PATIENCE_S,
    assert_each_once,
    key_of,
    make_tracker,
    prepared_store,
    run_sweep,
    runs_of,
)

SLOW = pytest.mark.slow
GAPS = (
    "run created",
    pytest.param("values logged", marks=SLOW),
    pytest.param("files logged", marks=SLOW),
    "run finished",
    pytest.param("acknowledged", marks=SLOW),
)


@pytest.fixture
def root(tmp_path, empty_database) -> Path:
    """A storage root with its database."""
    root = tmp_path / "outputs"
    root.mkdir()
    shutil.copyfile(empty_database, root / "mlflow.db")
    return root


@pytest.fixture(scope="module")
def delivered(tmp_path_factory) -> tuple[Path, Plan]:
    """A sweep of two methods on two datasets that ran without disturbance."""
    root = tmp_path_factory.mktemp("delivered")
    first, second = baseline(), baseline(seed=1, dataset="mnist_5k")
    plan = plan_of(trial(first), trial(second, method="cluster", n_clusters=[9, 24, 110]))
    store = prepared_store(root)
    commit(store, plan.trials[0], tags={"warning": "pruned nothing"})
    assert run_sweep(root, plan) == 0
    return root, plan


def test_every_name_of_the_contract_arrives(delivered):
    root, plan = delivered
    by_key = {key_of(run): run for run in runs_of(client_of(root), plan.sweep_id)}
    run = by_key[plan.trials[0].key]
    assert run.data.params == {
        "method": "importance",
        "dataset": "digits",
        "model": "lenet_300_100",
        "seed": "0",
        "threshold": "0.5",
    }
    assert by_key[plan.trials[1].key].data.params["n_clusters"] == "[9,24,110]"
    assert run.data.metrics == pytest.approx({**metrics_of(plan.trials[0]), "seconds": 2.0})
    tags = run.data.tags
    assert tags["kind"] == "trial"
    assert tags["trial.key"] == plan.trials[0].key
    assert tags["baseline.key"] == plan.trials[0].baseline.key
    assert tags["mlflow.parentRunId"] == by_key["parent"].info.run_id
    assert tags["warning"] == "pruned nothing"
    assert {"mlflow.user", "mlflow.source.name", "version.python", "version.keras", "version.prune-sweep"} <= set(tags)
    assert by_key[plan.baselines[0].key].data.tags["kind"] == "baseline"


def test_run_names_tell_apart_what_differs(delivered):
    root, plan = delivered
    names = {key_of(run): run.info.run_name for run in runs_of(client_of(root), plan.sweep_id)}
    assert names["parent"] == "importance, cluster · lenet_300_100 · digits, mnist_5k"
    assert names[plan.trials[0].key] == "importance thr=0.5 digits seed 0"
    assert names[plan.baselines[1].key] == "dense lenet_300_100 mnist_5k seed 1"


def test_files_of_a_result_arrive_whole(delivered):
    root, plan = delivered
    client = client_of(root)
    by_key = {key_of(run): run.info.run_id for run in runs_of(client, plan.sweep_id)}
    listed = {key: {file.path for file in client.list_artifacts(run_id)} for key, run_id in by_key.items()}
    assert listed[plan.trials[0].key] == {"masks.npz", "config.yaml"}
    assert listed[plan.baselines[0].key] == {"model.keras", "config.yaml"}
    masks = client.download_artifacts(by_key[plan.trials[0].key], "masks.npz")
    assert Path(masks).read_text() == plan.trials[0].key


def test_the_sweeps_own_run_says_how_to_repeat_it(delivered):
    root, plan = delivered
    parent = next(run for run in runs_of(client_of(root), plan.sweep_id) if key_of(run) == "parent")
    note = parent.data.tags["mlflow.note.content"]
    assert 0 < note.index("python sweeps/run.py method=x") < note.index("| axis |")  # the UI folds what is further down
    assert parent.data.metrics == {"trials": 2}
    assert parent.data.params["seeds"] == "0, 1"


def test_a_run_knows_its_dataset_by_a_digest_of_all_values(delivered):
    from prune_core.data import describe

    root, plan = delivered
    run = next(run for run in runs_of(client_of(root), plan.sweep_id) if key_of(run) == plan.baselines[0].key)
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "digits"
    assert describe("digits", plan.baselines[0].dataset_config).fingerprint.startswith(used.dataset.digest)


def test_the_same_command_again_adds_nothing(root):
    plan = grid(3)
    assert run_sweep(root, plan) == 0
    before = {run.info.run_id for run in runs_of(client_of(root), plan.sweep_id)}
    assert run_sweep(root, plan, cached=True) == 0
    assert {run.info.run_id for run in runs_of(client_of(root), plan.sweep_id)} == before
    assert_each_once(client_of(root), plan)


def test_a_result_of_an_earlier_sweep_is_shown_in_the_new_one_too(root):
    first, second = grid(2, sweep_id="a" * 12), grid(3, sweep_id="b" * 12)
    run_sweep(root, first)
    store = prepared_store(root)
    tracker = make_tracker(root, second)
    tracker.start()
    for work in second:
        there = store.load(work.key)
        tracker.finished(work, there or commit(store, work), cached=there is not None)
    assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    client = client_of(root)
    assert_each_once(client, first)
    assert_each_once(client, second)
    cached = {key_of(run) for run in runs_of(client, second.sweep_id) if run.data.tags.get("trial.cached") == "true"}
    assert cached == {work.key for work in first}


def test_a_failure_is_shown_and_gives_way_to_a_later_success(root):
    plan = grid(1)
    (failed,) = plan.trials
    tracker = make_tracker(root, plan)
    tracker.start()
    tracker.failed(Failure(failed, "failed", "ValueError: shapes", "Traceback ...", attempts=2))
    assert tracker.finish("FAILED", {}, {}, PATIENCE_S) == 0
    client = client_of(root)
    runs = {key_of(run): run for run in runs_of(client, plan.sweep_id)}
    run = runs[failed.key]
    assert (run.info.status, runs["parent"].info.status) == ("FAILED", "FAILED")
    assert (run.data.tags["failure"], run.data.tags["status"]) == ("ValueError: shapes", "failed")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["traceback.txt"]

    assert run_sweep(root, plan) == 0
    assert_each_once(client, plan)
    again = next(r for r in runs_of(client, plan.sweep_id) if key_of(r) == failed.key)
    assert again.info.run_id == run.info.run_id
    assert "failure" not in again.data.tags


def test_names_and_values_that_mlflow_refuses_are_mended(root):
    work = trial(baseline(), layers="x" * 9000)
    store = prepared_store(root)
    odd = {**metrics_of(work), "sparsity.conv(1)/../k": 0.1, "m" * 400: 1.0, **{f"units.{i}": 1.0 for i in range(1200)}}
    commit(store, work, metrics=odd, tags={"warning": "w" * 10_000})
    problems: list[str] = []
    assert run_sweep(root, plan_of(work), problems=problems) == 0
    assert problems == []
    run = next(run for run in runs_of(client_of(root), "0123456789ab") if key_of(run) == work.key)
    assert len(run.data.metrics) == len(odd) + 1


def test_one_result_that_cannot_be_delivered_does_not_hold_up_the_others(root):
    plan = grid(3)
    store = prepared_store(root)
    bad = plan.trials[1]
    commit(store, bad, ended_at=1e30)  # no database takes such a time: it is refused after its run was created
    problems: list[str] = []
    assert run_sweep(root, plan, problems=problems) == 1
    assert [bad.label in problem for problem in problems] == [True]
    status = {key_of(run): run.info.status for run in runs_of(client_of(root), plan.sweep_id)}
    assert status == {work.key: "FINISHED" for work in plan} | {"parent": "FINISHED", bad.key: "KILLED"}


DRIVER = """
import json, os, signal, sys
from pathlib import Path
from sweeps.tracking.tracker import Tracker
from sweeps.config import TrackingSettings
from tests.helpers.sweep_fixtures import Settings, Storage, grid
from tests.helpers.trackers import prepared_store

root, gap, countdown = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def at(name):
    global countdown
    if name == gap:
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)

plan, store = grid(3), prepared_store(root)
tracker = Tracker(Settings(Storage(root)), plan, store, {}, print, "x", at)
tracker.start()
for work in plan:
    tracker.finished(work, store.load(work.key), False)
tracker.finish("FINISHED", {}, {}, 300)
"""


@pytest.mark.parametrize("gap", GAPS)
def test_killed_in_any_gap_and_run_again_each_result_is_there_once(root, gap):
    plan, store = grid(3), prepared_store(root)
    for work in plan:
        commit(store, work)
    killed = subprocess.run([sys.executable, "-c", DRIVER, str(root), gap, "2"], timeout=PATIENCE_S, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert any(run.info.status == "RUNNING" for run in runs_of(client_of(root), plan.sweep_id))
    assert run_sweep(root, plan, cached=True) == 0
    assert_each_once(client_of(root), plan)


def test_two_drivers_of_one_sweep_at_once_deliver_each_result_once(root):
    plan, store = grid(6), prepared_store(root)
    for work in plan:
        commit(store, work)
    command = [sys.executable, "-c", DRIVER.replace("grid(3)", "grid(6)"), str(root), "none", "0"]
    drivers = [subprocess.Popen(command) for _ in range(2)]
    assert [driver.wait(PATIENCE_S) for driver in drivers] == [0, 0]
    assert_each_once(client_of(root), plan)


def test_a_deleted_experiment_is_refused(root):
    run_sweep(root, grid(1))
    client = client_of(root)
    client.delete_experiment(client.get_experiment_by_name("prune-sweep").experiment_id)
    with pytest.raises(UserError, match=r"experiment prune-sweep is deleted: restore it"):
        make_tracker(root, grid(1)).check()


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "sqlite://"])
def test_a_uri_that_cannot_hold_runs_is_refused(tmp_path, uri):
    with pytest.raises(UserError, match=r"tracking\.uri="):
        make_tracker(tmp_path, grid(1), uri=uri)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not a database, " * 100)
    with pytest.raises(UserError, match="damaged or not a database"):
        make_tracker(tmp_path, grid(1)).check()


@pytest.mark.parametrize("kept", [1, 600, 5000, 0.5, -4096, -1])
def test_a_half_written_database_is_refused_with_what_is_enough(root, kept):
    database = root / "mlflow.db"
    content = database.read_bytes()
    database.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(
        UserError, match=r"mlflow\.db is damaged or not a database \(.*\): move it away, that is enough"
    ):
        make_tracker(root, grid(1)).check()


def test_an_empty_database_file_is_as_good_as_none(tmp_path):
    (tmp_path / "mlflow.db").touch()
    make_tracker(tmp_path, grid(1)).check()


def test_a_database_that_mlflow_left_half_made_is_completed_or_refused(tmp_path):
    """Killed between two steps of making it, or in one."""
    import sqlite3

    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
    from sqlalchemy import create_engine

    assert "job_locks" in Base.metadata.tables  # what our look at the tables takes for the last one
    for number, broken in enumerate((False, True)):
        root = tmp_path / str(number)
        root.mkdir()
        InitialBase.metadata.create_all(create_engine(f"sqlite:///{root}/mlflow.db"))
        if broken:
            with sqlite3.connect(root / "mlflow.db") as connection:
                connection.execute("create table experiment_tags (key text)")
            with pytest.raises(UserError, match=r"is half made .*already exists.*: move it away, that is enough"):
                make_tracker(root, grid(1)).check()
        else:
            make_tracker(root, grid(1)).check()
            assert run_sweep(root, grid(1)) == 0


def test_passwords_reach_neither_tags_nor_files(root):
    plan, store = grid(1), prepared_store(root)
    secret = "http://me:hunter2@host/"
    config = {"tracking": {"uri": secret}}
    tracker = Tracker(Settings(Storage(root)), plan, store, config, print, f"run.py tracking.uri={secret}")
    tracker.start()
    for work in plan:
        tracker.finished(work, commit(store, work, tags={"warning": f"see {secret}"}), False)
    assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    everything = [json.dumps(run.to_dictionary()) for run in runs_of(client_of(root), plan.sweep_id)]
    everything += [path.read_text() for path in root.glob("artifacts/*/artifacts/config.yaml")]
    everything += [path.read_text() for path in root.glob("sweeps/*/*.jsonl")]
    assert len(everything) > 3
    assert not [text for text in everything if "hunter2" in text]


def test_a_database_and_artifacts_lie_under_the_root_whatever_the_cwd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    run_sweep(elsewhere, grid(1))
    assert (elsewhere / "mlflow.db").is_file()
    assert list(elsewhere.glob("artifacts/*/artifacts/masks.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_a_result_is_read_once_more_only_after_a_wait(root, monkeypatch):
    plan, store = grid(1), prepared_store(root)
    results = {work.key: commit(store, work) for work in plan}
    read: list[str] = []
    load = ResultStore.load
    monkeypatch.setattr(ResultStore, "load", lambda store, key: (read.append(key), load(store, key))[1])
    for patience_s, reads in ((receiver.FRESH_S, []), (0.0, [work.key for work in plan])):
        monkeypatch.setattr(receiver, "FRESH_S", patience_s)
        tracker = make_tracker(root, plan, experiment=f"within {patience_s:g} s")
        tracker.start()
        for work in plan:
            tracker.finished(work, results[work.key], False)
        assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
        assert read == reads


def test_a_damaged_result_is_said_and_left_out(root, monkeypatch):
    monkeypatch.setattr(receiver, "FRESH_S", 0.0)  # it has waited
    plan, store = grid(2), prepared_store(root)
    for work in plan:
        commit(store, work)
    (store.folder(plan.trials[0].key) / "masks.npz").write_bytes(b"rotten")
    problems: list[str] = []
    tracker = make_tracker(root, plan, problems)
    tracker.start()
    for work in plan:
        tracker.finished(work, result_of(work), False)  # as the engine saw it before it was damaged
    assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    assert ["damaged" in problem for problem in problems] == [True]
