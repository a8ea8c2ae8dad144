"""What `storage.uri` promises, on a folder and on a real S3-compatible store."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.training import EpochCheckpoint
from sweeps.config.storage import storage_settings
from sweeps.plan import missing_of
from sweeps.specs import Work
from sweeps.store import ResultStore, StorageAway
from sweeps.store.remote import Remote
from sweeps.store.shared import SharedStore
from sweeps.store.shared_checkpoint import SharedCheckpoint
from tests.helpers import sweep_fixtures as made
from tests.helpers.object_store import BUCKET, SECRET, ObjectStore

ROOT = Path(__file__).parents[3]
Machine = Callable[..., SharedStore]


@pytest.fixture(scope="module")
def object_store(tmp_path_factory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("s3"))
    store.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        yield store
    store.kill()


@pytest.fixture(params=["folder", "s3"])
def uri(request, tmp_path) -> str:
    """An empty place to share."""
    if request.param == "folder":
        return str(tmp_path / "shared")
    request.getfixturevalue("object_store")
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def machine(uri, tmp_path) -> Machine:
    """The store as a machine of that name has it."""

    def of(name: str, **options) -> SharedStore:
        store = SharedStore(tmp_path / name, Remote(uri, patience_s=0), **options)
        store.prepare()
        return store

    return of


def files(store: ResultStore, work: Work) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.folder(work.key).iterdir()}


def overwrite(store: SharedStore, work: Work, change: Callable[[bytes], bytes]) -> None:
    """Damage a result where all machines see it."""
    file = store.root / "object"
    assert store.remote.get(f"results/{work.key}.zip", file)
    file.write_bytes(change(file.read_bytes()))
    store.remote.put(file, f"results/{work.key}.zip")


def test_a_result_of_one_machine_is_whole_on_another(machine):
    work = made.trial(made.baseline())
    first, second = machine("first"), machine("second")
    assert second.fetch(work.key) is None
    made.commit(first, work)
    assert second.load(work.key) is None
    assert second.fetch(work.key) == first.load(work.key)
    assert files(second, work) == files(first, work)
    assert second.elsewhere() == {work.key}


def test_of_two_machines_at_the_same_work_the_first_wins(machine):
    work = made.baseline()
    first, second = machine("first"), machine("second")
    theirs = made.commit(first, work)
    with second.writing(work.key) as folder:
        (folder / "model.keras").write_bytes(b"other weights")
        ours = second.commit(folder, made.result_of(work, {"accuracy": 0.5}))
    assert ours == theirs
    assert files(second, work) == files(first, work)


def test_work_done_at_the_same_time_ends_in_one_whole_result(machine):
    work = made.baseline()
    machines = [machine(f"machine-{number}") for number in range(4)]
    together = threading.Barrier(len(machines))

    def commit(store: SharedStore) -> None:
        with store.writing(work.key) as folder:
            (folder / "model.keras").write_bytes(store.root.name.encode() * 10_000)
            together.wait()
            store.commit(folder, made.result_of(work))

    threads = [threading.Thread(target=commit, args=[store]) for store in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine("fresh").fetch(work.key) is not None


def test_sync_levels_both_sides(machine):
    here, there, nowhere = (made.trial(made.baseline(), threshold=t) for t in (0.1, 0.2, 0.3))
    first, second = machine("first"), machine("second")
    made.commit(first, there)
    made.commit(ResultStore(second.root), here)  # before storage.uri was set
    second.sync([work.key for work in (here, there, nowhere)], stopped=lambda: False)
    assert second.load(there.key) is not None
    assert second.elsewhere() == {here.key, there.key}
    assert first.fetch(here.key) is not None


def test_a_sync_that_is_stopped_does_nothing_more(machine):
    work = made.baseline()
    store = machine("only")
    made.commit(ResultStore(store.root), work)
    store.sync([work.key], stopped=lambda: True)
    assert store.elsewhere() == set()


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:-100], lambda content: content[: len(content) // 2], lambda content: b"", bytes.upper],
    ids=["end cut off", "half", "empty", "altered"],
)
def test_a_damaged_object_is_set_aside_and_made_again(machine, change):
    work = made.baseline()
    first, second = machine("first"), machine("second")
    made.commit(first, work)
    overwrite(first, work, change)
    assert second.fetch(work.key) is None
    assert second.elsewhere() == set()
    assert [name.partition("-")[0] for name in second.remote.names("damaged")] == [work.key]
    first.sync([work.key], stopped=lambda: False)
    assert second.fetch(work.key) == first.load(work.key)


def test_an_archive_reaches_nothing_outside_of_its_folder(machine, tmp_path):
    work = made.baseline()
    store, evil = machine("only"), tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../escaped", b"x")
    store.remote.put(evil, f"results/{work.key}.zip")
    assert store.fetch(work.key) is None
    assert [path for path in tmp_path.rglob("escaped") if not path.parts[-3].startswith("damaged-")] == []


def test_a_bomb_is_not_unpacked(machine, tmp_path):
    work = made.baseline()
    store, bomb = machine("only"), tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("result.json", b"0" * 50_000_000)
    store.remote.put(bomb, f"results/{work.key}.zip")
    assert store.fetch(work.key) is None
    assert sum(file.stat().st_size for file in store.root.rglob("*") if file.is_file()) < 1_000_000


def test_an_upload_that_is_killed_leaves_nothing_that_looks_like_a_result(machine, tmp_path):
    store, pipe = machine("only"), tmp_path / "pipe"
    os.mkfifo(pipe)
    upload = f"from pathlib import Path; from sweeps.store.remote import Remote; Remote({store.remote.uri!r}).put("
    child = subprocess.Popen([sys.executable, "-c", upload + f"Path({str(pipe)!r}), 'results/killed.zip')"], cwd=ROOT)
    with os.fdopen(_entrance(pipe, child), "wb") as file:
        file.write(b"x" * 20_000_000)  # returns when all but the pipe's own buffer has been taken
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not store.remote.has("results/killed.zip")
    assert store.elsewhere() == set()


def _entrance(pipe: Path, reader: subprocess.Popen) -> int:
    """The end of a pipe that is written to, once its reader has opened it."""
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert reader.poll() is None
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def test_what_fails_is_tried_again(tmp_path):
    (tmp_path / "shared").write_text("a file where the folder should be")
    remote, file = Remote(f"{tmp_path}/shared/results"), tmp_path / "file"
    file.write_bytes(b"content")
    with pytest.raises(StorageAway, match="Not a directory"):
        Remote(remote.uri, patience_s=0).put(file, "a/b")
    patient = threading.Thread(target=Remote(remote.uri, patience_s=600).put, args=(file, "a/b"))
    patient.start()
    (tmp_path / "shared").unlink()
    patient.join()
    assert (tmp_path / "shared/results/a/b").read_bytes() == b"content"


def test_what_is_replaced_while_it_is_read_is_whole(uri, tmp_path):
    """Files as large as checkpoints, so that an object store is asked several times for one of them."""
    remote, got = Remote(uri, patience_s=0), tmp_path / "got"
    contents = [b"a" * 9_000_000, b"b" * 9_500_000]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)

    def replace() -> None:
        for number in range(12):
            remote.put(tmp_path / str(number % 2), "checkpoint")

    replace()
    writer = threading.Thread(target=replace)
    writer.start()
    while writer.is_alive():
        with suppress(StorageAway):
            remote.get("checkpoint", got)
            assert got.read_bytes() in contents
    assert remote.get("checkpoint", got)
    assert got.read_bytes() == contents[1]


def test_a_store_that_cannot_be_used_is_refused_in_one_sentence(object_store, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    for uri in (f"{__file__}/folder", f"s3://{BUCKET}/refused", f"s3://{BUCKET}/x?unknown=1"):
        with pytest.raises(UserError) as refusal:
            SharedStore(tmp_path / "root", Remote(uri)).prepare()
        text = str(refusal.value)
        assert text.startswith(f"storage.uri={uri} cannot be used (")
        assert "\n" not in text
        assert SECRET not in text


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://key:secret@bucket/folder", "has a name or password in it"),
        ("hdfs://host/folder", "is neither a folder nor one of file://, s3://, gs://"),
        ("s3:///folder", "names no bucket"),
        ("file://folder", "is not the address of a folder"),
        ("", "is not a folder"),
        (5, "is not a folder"),
        ("/root", "is storage.root itself"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(uri, reason):
    with pytest.raises(UserError, match=reason) as refusal:
        storage_settings({"root": "/root", "uri": uri})
    assert "secret" not in str(refusal.value)


def test_what_others_have_finished_is_not_planned_again(machine):
    plan = made.grid(2)
    for work in plan:
        made.commit(machine("first"), work)
    ahead = missing_of(plan, machine("second"))
    assert (ahead.cached, ahead.is_work_left) == ({work.key for work in plan}, False)


def test_credentials_do_not_travel(machine):
    assert SECRET.encode() not in pickle.dumps(machine("only"))


def test_another_node_keeps_networks_and_no_results_of_trials(machine, tmp_path):
    base = made.baseline()
    trial = made.trial(base)
    node = machine("driver").on_node(tmp_path / "node")
    for work in (base, trial):
        made.commit(node, work)
    assert node.load(base.key) is not None
    assert node.load(trial.key) is None
    assert node.fetch(trial.key) is not None


def test_a_node_with_another_folder_does_not_see_the_store(machine, tmp_path):
    one, other = ResultStore(tmp_path / "one"), ResultStore(tmp_path / "other")
    for store in (one, other):
        store.prepare()
    with one.probe() as probe:
        assert one.sees(probe)
        assert not other.sees(probe)
    shared = machine("driver")
    with shared.probe() as probe:
        assert machine("elsewhere").sees(probe)
        assert not machine("elsewhere").sees("probes/of-nobody")


class _Variable:
    """The least that a checkpoint needs of a Keras variable."""

    shape = (3,)

    def __init__(self, value: float) -> None:
        self.value = np.full(3, value)

    def numpy(self) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value


def saved(checkpoint: EpochCheckpoint, epochs: int) -> None:
    checkpoint._every_s = 0
    assert checkpoint.save([_Variable(epochs)], [{"loss": 1.0}] * epochs)


def restored(checkpoint: EpochCheckpoint) -> tuple[int, float]:
    """Epochs done, and the value of the variable."""
    variable = _Variable(0)
    history = checkpoint.restore([variable])
    return len(history), float(variable.value[0])


def test_a_training_goes_on_where_more_of_it_is_done(machine):
    first, second, third = (machine(name).training_state("network") for name in ("first", "second", "third"))
    saved(first, 3)
    assert restored(second) == (3, 3.0)
    saved(second, 5)
    assert restored(first) == (5, 5.0)
    saved(EpochCheckpoint(first.file), 7)  # the store was away
    assert restored(first) == (7, 7.0)
    assert restored(third) == (5, 5.0)
    first.remove()
    assert restored(machine("fourth").training_state("network")) == (0, 0.0)


def test_a_checkpoint_that_cannot_be_trusted_is_not_used(machine, tmp_path):
    store, bad = machine("only"), tmp_path / "bad"
    bad.write_bytes(b"PK" + bytes(1000))
    store.remote.put(bad, "checkpoints/network.npz")
    assert restored(store.training_state("network")) == (0, 0.0)


def test_a_store_that_is_away_stops_no_training(tmp_path):
    (tmp_path / "file").touch()
    checkpoint = SharedCheckpoint(tmp_path / "here.npz", Remote(f"{tmp_path}/file/x", patience_s=600), "there.npz")
    assert restored(checkpoint) == (0, 0.0)
    saved(checkpoint, 2)
    assert restored(checkpoint) == (2, 2.0)
    checkpoint.remove()


@pytest.mark.slow
def test_a_result_waits_for_an_object_store_that_is_started_again(object_store, tmp_path):
    work = made.baseline()
    store = SharedStore(tmp_path / "here", Remote(f"s3://{BUCKET}/{tmp_path.name}", patience_s=600))
    store.prepare()
    object_store.kill()
    committed = threading.Thread(target=made.commit, args=(store, work))
    committed.start()
    with pytest.raises(StorageAway):
        Remote(store.remote.uri, patience_s=0).has("anything")
    object_store.start()
    committed.join()
    assert SharedStore(tmp_path / "there", store.remote).elsewhere() == {work.key}
