"""Processes of a Ray that outlived their driver.

When a driver is killed, Ray's own processes notice and end by themselves, but not all at once: measured with 2.60, the
agents stay for 70 s and a worker that is just starting for 25 s. The next start of the same sweep ends what is left.
"""

import json
import logging
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

log = logging.getLogger(__name__)
PATIENCE_S = 5.0


def descendants() -> list[psutil.Process]:
    """Of this process, now."""
    return psutil.Process().children(recursive=True)


@contextmanager
def recorded(file: Path, besides: Collection[psutil.Process] = ()) -> Iterator[None]:
    """While entered, `file` names this process's descendants; a killed driver leaves it behind.

    Args:
        file: made, and removed at the end.
        besides: descendants that have nothing to do with it: those of before Ray was started.
    """
    ours = [process for process in descendants() if process not in besides]
    record = {"host": socket.gethostname(), "processes": [_identity(p) for p in (psutil.Process(), *ours)]}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
    except OSError as error:  # Ray cleans up by itself, only later
        log.warning("%s cannot be written: %s", file, error)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def end_left_behind(file: Path) -> int:
    """End what an earlier driver has recorded in `file`, and its descendants; returns how many processes that were.

    Nothing happens if that driver is alive, ran on another host, or if a process with a recorded id is another one.
    """
    try:
        record = json.loads(file.read_bytes())
        here = record["host"] == socket.gethostname()
        processes = [_alive(int(pid), float(since)) for pid, since in record["processes"]]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError):  # cut short, or spoilt: Ray's own clean-up has to do
        log.debug("%s cannot be read", file)
        return 0
    if not here or not processes or processes[0] is not None:
        return 0
    left = [process for process in processes[1:] if process is not None]
    for process in list(left):
        left += _descendants(process)
    for process in set(left):
        try:
            process.kill()
        except psutil.Error:
            log.debug("process %d has gone, or is not ours", process.pid)
    psutil.wait_procs(left, timeout=PATIENCE_S)
    file.unlink(missing_ok=True)
    if left:
        log.info("ended %d processes that an earlier start of this sweep left behind", len(set(left)))
    return len(set(left))


def _identity(process: psutil.Process) -> tuple[int, float]:
    """An id is given again after a while, with another time of creation."""
    try:
        return process.pid, process.create_time()
    except psutil.NoSuchProcess:
        return process.pid, 0.0


def _alive(pid: int, since: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - since) < 0.05 and process.uids().real == os.getuid()
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
