"""Locks on files between real processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.store import ResultStore, only_driver
from sweeps.store.locks import PathLock

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from sweeps.store.locks import PathLock
print(PathLock(Path(sys.argv[1])).acquire(), flush=True)
time.sleep(600)
"""
COUNT = """
import sys, time
from pathlib import Path
from sweeps.store.locks import PathLock
lock, counter = PathLock(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(200):
    while not lock.acquire():
        time.sleep(0)
    counter.write_text(str(int(counter.read_text()) + 1))
    lock.release()
"""


def start(script: str, *arguments: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def holding(path: Path) -> subprocess.Popen:
    """A process that holds a lock."""
    process = start(HOLD, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_lock_is_held_by_one_and_free_again_when_its_process_is_killed(tmp_path):
    path = tmp_path / "lock"
    other, mine = holding(path), PathLock(path)
    assert not mine.acquire()
    other.kill()
    other.wait()
    assert mine.acquire()
    assert mine.acquire()  # it is ours already
    mine.release()
    assert not path.exists()
    mine.release()


def test_nothing_is_lost_between_processes_that_make_and_remove_the_file(tmp_path):
    path, counter = tmp_path / "lock", tmp_path / "counter"
    counter.write_text("0")
    for process in [start(COUNT, path, counter) for _ in range(3)]:
        assert process.wait(300) == 0
    assert counter.read_text() == "600"
    assert not path.exists()


def test_a_second_driver_is_told_who_the_first_is(tmp_path):
    told = rf"running already \(process {os.getpid()} on {socket.gethostname()}"
    with only_driver(tmp_path / "sweep"), pytest.raises(UserError, match=told):
        only_driver(tmp_path / "sweep").__enter__()
    with only_driver(tmp_path / "sweep"):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        only_driver(tmp_path / "file" / "sweep").__enter__()


def test_remains_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path):
    store = ResultStore(tmp_path)
    store.prepare()
    for name in (".dead-a1", ".dead-a2", ".living-a1", "result"):
        (store.results / name).mkdir()
    for name in (".gone.lock", ".training.npz"):
        (store.results / name).touch()
    other = holding(store.results / ".living.lock")
    store.sweep_temporary()
    left = {path.name for path in store.results.iterdir()}
    other.kill()
    other.wait()
    assert left == {".living-a1", ".living.lock", ".training.npz", "result"}
