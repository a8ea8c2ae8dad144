"""What counts as finished is on the disk, and runs of MLflow that have lost something are delivered again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.specs import Plan
from sweeps.store import ResultStore
from sweeps.tracking import Tracker
from sweeps.tracking.artifacts import DIGEST, Expected, digest_of, remove_staged, staged
from tests.helpers.disk import Trace, traced
from tests.helpers.drivers import client_of
from tests.helpers.sweep_fixtures import Settings, Storage, baseline, commit, grid, trial
from tests.helpers.trackers import (
    PATIENCE_S,
    assert_each_once,
    key_of,
    prepared_store,
    run_sweep,
    runs_of,
)

PLAN = grid(2)
BASELINE, FIRST, SECOND = (work.key for work in PLAN)


def test_a_result_is_on_the_disk_before_it_has_its_name_and_then_its_name(tmp_path):
    store = prepared_store(tmp_path)
    work = trial(baseline())
    with traced() as trace:
        commit(store, work)
    assert not trace.early
    named, kept = trace.steps(("name", store.folder(work.key)), ("sync", store.results))
    assert named < kept


def test_what_killed_workers_left_of_a_state_goes_and_the_state_stays(tmp_path):
    store = prepared_store(tmp_path)
    busy = store.lock("busy")
    assert busy.acquire()
    (store.results / ".idle-xyz").mkdir()
    for name in (".idle.npz", ".idle.npz.4711", ".idle.npz.0a1b.part", ".busy.npz.4711"):
        (store.results / name).write_bytes(b"content")
    store.sweep_temporary()
    busy.release()
    assert {path.name for path in store.results.iterdir()} == {".idle.npz", ".busy.npz.4711"}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory, empty_database) -> tuple[Path, list[tuple[str, Trace]]]:
    """A delivered sweep, and what was on the disk at each gap of the tracker."""
    root = tmp_path_factory.mktemp("delivered") / "outputs"
    store = prepared_store(root)
    shutil.copyfile(empty_database, root / "mlflow.db")
    lacking: list[tuple[str, list[Path]]] = []
    with traced() as trace:

        def at(gap: str) -> None:
            if gap == "run finished":
                there = [path for path in root.glob("artifacts/**/*") if path.is_file()]
                lacking.append((gap, [path for path in there if not trace.is_on_disk(path)]))

        tracker = Tracker(Settings(Storage(root)), PLAN, store, {}, pytest.fail, "x", at)
        tracker.start()
        for work in PLAN:
            tracker.finished(work, commit(store, work), False)
        assert tracker.finish("FINISHED", {}, {}, PATIENCE_S) == 0
    return root, lacking


def test_a_run_is_finished_when_its_artifacts_are_on_the_disk(delivered):
    _, lacking = delivered
    assert lacking == [("run finished", [])] * 3


def test_a_run_carries_the_digest_of_its_artifacts(delivered):
    root, _ = delivered
    run = next(run for run in runs_of(client_of(root), PLAN.sweep_id) if key_of(run) == FIRST)
    folder = artifacts(root, FIRST)
    expected = Expected({}, {}, [path.name for path in folder.iterdir()], run.data.tags[DIGEST])
    assert expected.is_in(folder)
    assert digest_of({"b": "2", "a": "1"}) == digest_of({"a": "1", "b": "2"}) != digest_of({"a": "2", "b": "1"})


@pytest.fixture
def root(delivered, empty_database, tmp_path) -> Path:
    """The same sweep, delivered to a database of its own from a copy of the store."""
    source, _ = delivered
    shutil.copytree(source / "results", tmp_path / "outputs" / "results")
    shutil.copyfile(empty_database, tmp_path / "outputs" / "mlflow.db")
    return tmp_path / "outputs"


def again(root: Path, plan: Plan = PLAN) -> list[str]:
    """The same command once more; what it says."""
    problems: list[str] = []
    assert run_sweep(root, plan, cached=True, problems=problems) == 0
    assert_each_once(client_of(root), plan)
    return problems


def run_id_of(root: Path, key: str) -> str:
    return next(run.info.run_id for run in runs_of(client_of(root), PLAN.sweep_id) if key_of(run) == key)


def artifacts(root: Path, key: str) -> Path:
    return next(path.parent for path in root.glob(f"artifacts/{run_id_of(root, key)}/artifacts/config.yaml"))


def logged_model(root: Path) -> Path:
    return next(path.parent for path in root.glob("artifacts/models/*/artifacts/MLmodel"))


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def zeroed(file: Path) -> None:
    """A file of the old length without its content, as some file systems leave it."""
    file.write_bytes(bytes(file.stat().st_size))


def removed(file: Path) -> None:
    file.unlink()


def assert_whole(root: Path, parents_points: int = 1) -> None:
    """Every artifact is the file in the store, byte for byte, and every metric has one point.

    That of the sweep's own run has one for each start that had something new to deliver.
    """
    client = client_of(root)
    store = ResultStore(root)
    for run in runs_of(client, PLAN.sweep_id):
        for name in run.data.metrics:
            points = parents_points if key_of(run) == "parent" else 1
            assert len(client.get_metric_history(run.info.run_id, name)) == points, name
        if result := key_of(run) != "parent" and store.load(key_of(run)):
            folder = artifacts(root, result.key)
            for name in result.files:
                assert (folder / name).read_bytes() == (store.folder(result.key) / name).read_bytes()
            assert (folder / "config.yaml").stat().st_size
    (model,) = client.search_logged_models([client.get_experiment_by_name("prune-sweep").experiment_id])
    there = Path(model.artifact_location.removeprefix("file://"), "data", "model.keras")
    assert there.read_bytes() == (store.folder(BASELINE) / "model.keras").read_bytes()
    assert model.status == "READY"


SPOILT: dict[str, tuple[Callable[[Path], object], int]] = {
    "empty": (lambda root: emptied(artifacts(root, FIRST) / "masks.npz"), 1),
    "zeros": (lambda root: zeroed(artifacts(root, FIRST) / "masks.npz"), 1),
    "absent": (lambda root: removed(artifacts(root, FIRST) / "config.yaml"), 1),
    "config": (lambda root: zeroed(artifacts(root, SECOND) / "config.yaml"), 1),
    "model": (lambda root: emptied(logged_model(root) / "data" / "model.keras"), 1),
    "description": (lambda root: zeroed(logged_model(root) / "MLmodel"), 1),
    "all": (lambda root: [emptied(path) for path in root.glob("artifacts/*/artifacts/m*")], 3),
}


def test_what_a_power_cut_took_from_finished_runs_is_delivered_anew_and_said(root):
    assert again(root) == []
    runs = {key: run_id_of(root, key) for key in (BASELINE, FIRST, SECOND)}
    for what, (spoil, count) in SPOILT.items():
        spoil(root)
        (said,) = again(root)
        assert f"{count} run{'s' * (count > 1)} did not hold what is in the store" in said, what
        assert_whole(root)
    assert {key: run_id_of(root, key) for key in runs} == runs
    assert again(root) == []


def test_a_result_that_was_made_again_gets_a_run_of_its_own(root):
    """The store has lost it, and what is in MLflow is empty; of the numbers of both times only the later ones stay."""
    assert again(root) == []
    before = run_id_of(root, FIRST)
    emptied(artifacts(root, FIRST) / "masks.npz")
    store = ResultStore(root)
    shutil.rmtree(store.folder(FIRST))
    commit(store, PLAN.trials[0], metrics={"accuracy": 0.123})
    (said,) = again(root)
    assert "1 run did" in said
    assert_whole(root)
    assert run_id_of(root, FIRST) != before
    assert client_of(root).get_run(run_id_of(root, FIRST)).data.metrics == {"accuracy": 0.123, "seconds": 2.0}


def test_an_unfinished_run_of_an_earlier_making_gives_way(root):
    assert again(root) == []
    client, before = client_of(root), run_id_of(root, BASELINE)
    client.update_run(before, status="RUNNING")
    client.log_metric(before, "accuracy", 0.5)
    assert again(root) == []
    assert_whole(root, parents_points=2)
    assert run_id_of(root, BASELINE) != before


def test_runs_of_an_earlier_version_carry_no_digest_and_are_held_against_the_store(root):
    assert again(root) == []
    client = client_of(root)
    for key in (BASELINE, FIRST, SECOND):
        client.delete_tag(run_id_of(root, key), DIGEST)
    assert again(root) == []
    emptied(artifacts(root, FIRST) / "masks.npz")
    emptied(artifacts(root, SECOND) / "config.yaml")
    (said,) = again(root)
    assert "2 runs did" in said
    assert_whole(root)


def test_sizes_tell_what_a_server_has_lost(tmp_path):
    (tmp_path / "masks.npz").write_bytes(b"12345")
    expected = Expected({"masks.npz": tmp_path / "masks.npz"}, {}, {"config.yaml"}, "")
    assert expected.has({"masks.npz": 5, "config.yaml": 7})
    for lost in ({"masks.npz": 0}, {"masks.npz": 4}, {"config.yaml": 0}):
        assert not expected.has({"masks.npz": 5, "config.yaml": 7} | lost)
    assert not expected.has({"config.yaml": 7})
    assert not expected.has({"masks.npz": 5})


def test_what_a_killed_driver_left_on_the_way_to_mlflow_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "prune-sweep-0123-dead").mkdir()
    (tmp_path / "prune-sweep-9999-other").mkdir()
    remove_staged("prune-sweep-0123-")
    with staged({}, {"folder/text": "content"}, "prune-sweep-0123-") as folder:
        assert folder.name.startswith("prune-sweep-0123-")
        assert (folder / "folder" / "text").read_text() == "content"
    assert [path.name for path in tmp_path.iterdir()] == ["prune-sweep-9999-other"]
