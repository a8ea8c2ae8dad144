"""Which processes are taken for what a killed driver has left behind; real ones that hold files open."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweeps.engine.orphans import clear, folder_of, ray_folder

NOBODY = 2**22 + 1
"""No process has this id: Linux gives none above 2**22."""
HOLD = """
import subprocess, sys, time
log = open(sys.argv[1], "a")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path / "outputs" / "sweeps" / "0123456789ab"


@pytest.fixture
def hold() -> Iterator[Callable[[Path], list[psutil.Process]]]:
    """Starts a process that holds a log open, and a child of it that does not; returns both."""
    started: list[psutil.Process] = []

    def start(log: Path) -> list[psutil.Process]:
        log.parent.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen([sys.executable, "-c", HOLD, log], stdout=subprocess.PIPE)
        assert process.stdout is not None
        pair = [psutil.Process(process.pid), psutil.Process(int(process.stdout.readline()))]
        started.extend(pair)
        return pair

    yield start
    for process in started:
        if process.is_running():
            process.kill()
    psutil.wait_procs(started)


def living(*processes: psutil.Process) -> list[bool]:
    return [p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes]


def session(sweep: Path, driver: int) -> Path:
    return folder_of(sweep) / f"session_2026-01-01_00-00-00_123456_{driver}"


def test_what_a_dead_driver_left_is_ended_and_its_folder_removed(sweep, hold):
    left = hold(session(sweep, NOBODY) / "logs" / "raylet.out")
    with ray_folder(sweep) as folder:
        assert living(*left) == [False, False]
        assert not folder.exists()


def test_what_this_driver_leaves_is_ended_when_it_ends(sweep, hold):
    with ray_folder(sweep) as folder:
        left = hold(session(sweep, os.getpid()) / "logs" / "raylet.out")
        mine = (session(sweep, os.getpid()) / "logs" / "driver.log").open("w")
        assert living(*left) == [True, True]
    mine.close()
    assert living(*left) == [False, False]
    assert not folder.exists()


def test_nobody_else_is_ended(sweep, hold):
    """What a living driver has started, and what runs from the folder of another sweep."""
    other_driver, child = hold(sweep.parent / "log")
    of_other_driver = hold(session(sweep, other_driver.pid) / "logs" / "raylet.out")
    of_other_sweep = hold(session(sweep.with_name("ba9876543210"), NOBODY) / "logs" / "raylet.out")
    assert clear(folder_of(sweep)) == 0
    assert all(living(other_driver, child, *of_other_driver, *of_other_sweep))
    assert session(sweep, other_driver.pid).exists()


def test_the_folder_is_the_same_at_each_start_and_another_for_each_sweep(sweep, monkeypatch):
    found = folder_of(sweep)
    monkeypatch.chdir(sweep.parents[2])
    assert folder_of(Path("outputs/sweeps/0123456789ab")) == found
    assert folder_of(sweep.with_name("ba9876543210")) != found
