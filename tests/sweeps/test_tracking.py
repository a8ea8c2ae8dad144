"""The tracker against real MLflow: a database file, and a real server process that is killed and comes back."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.mlflow_runs import prepare_environment
from sweeps.specs import Failure, Plan
from sweeps.store import ResultStore
from sweeps.tracking import Tracker
from tests.sweeps.sweep_fixtures import (
    Settings,
    Storage,
    Tracking,
    baseline,
    commit,
    grid,
    metrics_of,
    plan_of,
    result_of,
    trial,
)

SLOW = pytest.mark.slow
GAPS = (
    "run created",
    pytest.param("values logged", marks=SLOW),
    pytest.param("files logged", marks=SLOW),
    "run finished",
    pytest.param("acknowledged", marks=SLOW),
)
PATIENCE_S = 300  # far more than it takes: the machine may be busy


def make_tracker(root: Path, plan: Plan, problems: list[str] | None = None, **tracking: object) -> Tracker:
    settings = Settings(Storage(root), Tracking(**tracking))  # type: ignore[arg-type]
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


def client_of(root: Path, uri: str | None = None):
    prepare_environment()
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri or f"sqlite:///{root}/mlflow.db")


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


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory) -> Path:
    """A database without runs: MLflow takes two seconds to make one."""
    folder = tmp_path_factory.mktemp("empty")
    client_of(folder).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def root(tmp_path, empty_database) -> Path:
    """A storage root with its database."""
    root = tmp_path / "outputs"
    root.mkdir()
    shutil.copyfile(empty_database, root / "mlflow.db")
    return root


@pytest.fixture(scope="module")
def delivered(tmp_path_factory) -> tuple[Path, Plan]:
    """A sweep of two methods on two datasets that went through undisturbed."""
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
from sweeps.tracking import Tracker
from tests.sweeps.sweep_fixtures import Settings, Storage, Tracking, grid
from tests.sweeps.test_tracking import prepared_store

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A real `mlflow server` on a database file; `kill` ends it as a power cut would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_ENABLE_AI_GATEWAY": "false"}
        arguments = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        places = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        places += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *arguments, *places],
                env={**os.environ, **off},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers)

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path, empty_database) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "server.db")
    server = Server(folder)
    server.start()
    yield server
    server.kill()


def test_a_server_killed_in_the_middle_loses_and_repeats_nothing(tmp_path, server):
    root = tmp_path / "outputs"
    plan, store = grid(20), prepared_store(root)
    problems: list[str] = []
    tracker = make_tracker(root, plan, problems, uri=server.uri)
    tracker.check()
    tracker.start()
    works = list(plan)
    for work in works[:10]:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: len(tracker.run_ids) >= 5)
    server.kill()
    for work in works[10:]:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: bool(problems))
    server.start()
    assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    assert_each_once(client_of(root, server.uri), plan)
    assert len(problems) == 2
    assert "does not take results" in problems[0]
    assert "takes results again" in problems[1]


def test_without_a_server_results_wait_and_the_next_run_delivers_them(tmp_path, server):
    root = tmp_path / "outputs"
    server.kill()
    plan, store = grid(3), prepared_store(root)
    problems: list[str] = []
    tracker = make_tracker(root, plan, problems, uri=server.uri, on_unreachable="queue")
    tracker.check()
    tracker.start()
    for work in plan:
        tracker.finished(work, commit(store, work), False)
    wait_for(lambda: len(problems) == 2)  # one of the check, one of the outage
    assert tracker.finish("FINISHED", {}, {}, timeout_s=2) == len(list(plan)) + 1
    assert len(problems) == 2, problems

    server.start()
    assert run_sweep(root, plan, cached=True, uri=server.uri) == 0
    assert_each_once(client_of(root, server.uri), plan)


def test_an_unreachable_server_is_refused_in_one_sentence_without_mlflow(tmp_path):
    code = (
        "import sys; from tests.sweeps.test_tracking import *\n"
        "tracker = make_tracker(Path(sys.argv[1]), grid(1), uri=sys.argv[2])\n"
        "try: tracker.check()\n"
        "except UserError as error: print(error)\n"
        "print('mlflow' in sys.modules)"
    )
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), uri], capture_output=True, text=True, check=True)
    sentence, imported = done.stdout.splitlines()
    assert sentence.startswith("tracking.uri=http://***@127.0.0.1:")
    assert "nobody answers there" in sentence
    assert imported == "False"


def test_something_else_than_mlflow_on_the_port_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()  # the look at the port
            connection.close()
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UserError, match="not an MLflow server"):
            make_tracker(tmp_path, grid(1), uri=uri).check()
        thread.join()


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
    with pytest.raises(UserError, match="damaged or no database"):
        make_tracker(tmp_path, grid(1)).check()


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


def test_a_damaged_result_is_said_and_left_out(root):
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
