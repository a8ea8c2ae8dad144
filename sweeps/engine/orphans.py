"""The local Ray's folder, and the processes of a Ray that outlived its driver.

When a driver is killed, Ray's own processes notice it and end by themselves, but not all at once: measured with Ray
2.60, the agents stay for 70 s, and a worker that is just starting stays for 25 s. The next start of the same sweep ends
the processes that are left.

They are recognised by their open files: each of Ray's processes writes its log into the folder of its session from its
start on. Names, environments and parents do not identify them: some of these processes change them.
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from sweeps.engine import ray_places

log = logging.getLogger(__name__)
PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.05


@contextmanager
def ray_folder(sweep: Path) -> Iterator[Path]:
    """While entered, Ray may be started with this temporary folder. Before and after, no process of Ray runs from it.

    Args:
        sweep: the sweep's own folder. The caller holds its lock, so an earlier driver is dead or about to end.
    """
    folder = folder_of(sweep)
    # An earlier start may have had another temporary folder, or found this one full.
    ended = sum(clear(place / folder.name) for place in ray_places.places())
    if ended:
        log.info("ended %d processes that an earlier start of this sweep left behind", ended)
    try:
        yield folder
    finally:
        clear(folder)


def folder_of(sweep: Path) -> Path:
    """Ray's folder: the same at every start of the sweep by the same user, while temporary folders are the same."""
    owner = hashlib.sha256(f"{os.getuid()} {sweep.resolve()}".encode()).hexdigest()[:6]
    return ray_places.place() / f"ray-{owner}"


def clear(folder: Path) -> int:
    """End the processes that run from Ray's folder and remove it, except sessions of other living drivers.

    Returns:
        How many processes were ended.
    """
    if not folder.exists():
        return 0
    sessions = [session for session in folder.glob("session_*[0-9]") if not _belongs_to_another_living_driver(session)]
    ended: set[psutil.Process] = set()
    deadline = time.monotonic() + PATIENCE_S
    while (left := _processes_in(sessions)) and time.monotonic() < deadline:
        for process in left:
            _kill(process)
        ended |= left
        time.sleep(_LOOK_AGAIN_S)
    for session in sessions:
        shutil.rmtree(session, ignore_errors=True)
    if not any(folder.glob("session_*[0-9]")):
        shutil.rmtree(folder, ignore_errors=True)
    return len(ended)


def _belongs_to_another_living_driver(session: Path) -> bool:
    """Ray names a session after the process that began it: session_<date>_<time>_<microseconds>_<process id>."""
    number = int(session.name.rpartition("_")[2])
    try:
        return number != os.getpid() and psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _processes_in(folders: Collection[Path]) -> set[psutil.Process]:
    """The processes, except this one, that have a file open there, and their descendants."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        try:
            open_there = process.pid != os.getpid() and any(
                Path(file.path).is_relative_to(folder) for file in process.open_files() for folder in folders
            )
            if open_there:
                found |= {process, *process.children(recursive=True)}
        except psutil.Error:  # it has gone, or belongs to somebody else
            continue
    return found


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        log.debug("process %d has gone", process.pid)
