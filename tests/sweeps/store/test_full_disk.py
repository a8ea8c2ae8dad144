"""Which errors mean that a disk is full, and which disk: no work is handed out any more then."""

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from sweeps.engine.events import Announcer
from sweeps.engine.work_queue import WorkQueue
from sweeps.store import ResultStore, full_disk
from sweeps.store.full_disk import no_room, reason
from sweeps.tracking.receiver import first_line
from tests.helpers import trivial_work as trivial

AUTOFLUSH = (
    "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block if this flush is "
    "occurring prematurely)\n(sqlite3.OperationalError) {}\n[SQL: INSERT INTO tags (key, value) VALUES (?, ?)]"
)


def os_error(number: int, file: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([str(file)] if file else []))


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A root that does not lie in the folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "outputs"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_the_folder_that_is_full_is_named(root, tmp_path, number):
    ours = no_room(os_error(number, root / "results" / "a"), root, "storage.root")
    temporary = no_room(os_error(number, tmp_path / "tmp" / "a"), root, "storage.root")
    assert str(ours).startswith(f"storage.root={root} takes no more files ({os.strerror(number)}): make room there")
    assert str(temporary).startswith(f"the folder for temporary files, {tmp_path / 'tmp'} (TMPDIR), takes no more")


def test_files_of_others_and_other_troubles_are_no_full_disk(root):
    assert no_room(os_error(errno.EROFS, Path("/proc/of/a/method")), root, "storage.root") is None
    assert no_room(os_error(errno.EACCES, root / "a"), root, "storage.root") is None
    assert no_room(ValueError("a method's own: no space left on device"), root, "storage.root") is None


def test_an_error_without_a_file_is_of_a_disk_with_little_room(root, monkeypatch):
    """Shared memory, for one, has no room either, with the same error."""
    root.mkdir()
    free = {root: 3 * 2**30, Path(tempfile.gettempdir()): 2 * 2**30}
    monkeypatch.setattr(full_disk, "_free", lambda folder: free[folder])
    assert no_room(os_error(errno.ENOSPC), root, "storage.root") is None
    free[root] = 2**20
    assert str(no_room(os_error(errno.ENOSPC), root, "storage.root")).startswith("storage.root=")


def test_it_is_found_behind_other_errors_and_in_the_words_of_libraries_in_c(root):
    outer = RuntimeError("the model cannot be saved")
    outer.__cause__ = os_error(errno.ENOSPC)
    assert no_room(outer, root, "storage.root")
    hdf5 = OSError("Unable to write (file write failed: errno = 28, error message = 'No space left on device')")
    assert no_room(hdf5, root, "storage.root")
    assert reason(sqlite3.OperationalError("database or disk is full")) == "No space left on device"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AUTOFLUSH.format("database or disk is full"), "No space left on device"),
        (AUTOFLUSH.format("attempt to write a readonly database"), "Read-only file system"),
        (AUTOFLUSH.format("database is locked"), "database is locked"),
        ("(psycopg2.errors.AdminShutdown) terminating connection", "terminating connection"),
        ("API request to http://mlflow (5 retries) failed", "API request to http://mlflow (5 retries) failed"),
    ],
)
def test_what_sqlalchemy_wraps_around_an_error_is_left_out(text, said):
    assert first_line(text) == said


def test_nothing_is_handed_out_after_that_and_nothing_has_failed(tmp_path):
    store = ResultStore(tmp_path)
    store.prepare()
    b = trivial.baseline("b")
    with store.writing("b") as folder:
        store.commit(folder, trivial.Result("b", "baseline", {}, {}))
    announcer = Announcer([])
    queue = WorkQueue(trivial.plan(*(trivial.trial(f"t{i}", b) for i in range(5))), [], store, announcer, 2)
    first, second = queue.next(), queue.next()
    queue.no_room(first.key, "the disk is full")
    assert queue.next() is None
    assert not queue.done
    queue.no_room(second.key, "full, too")
    assert queue.done
    assert queue.halted == "the disk is full"
    assert announcer.outcome(0).failures == ()
