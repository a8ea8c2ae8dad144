"""Trivial work for tests of scheduling on real Ray: what a piece of work does stands in its configuration."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from prune_core.errors import UserError
from sweeps.specs import BaselineSpec, Plan, Result, TrialSpec, Work
from sweeps.store import ResultStore, StorageAway

_PATIENCE_S = 300.0
COLOURED = "\x1b[31m[red]of layer[/] a/b :x:\x1b]0;title\x07\x9b2J\u202e\x08\udcff ok\r\nand more"


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _raise(error: BaseException) -> None:
    raise error


def _recurse() -> None:
    _recurse()


RAISED: dict[str, Callable[[], None]] = {
    "KeyboardInterrupt": partial(_raise, KeyboardInterrupt()),
    "GeneratorExit": partial(_raise, GeneratorExit()),
    "CancelledError": partial(_raise, asyncio.CancelledError()),
    "SystemExit": partial(sys.exit, 3),
    "StopIteration": partial(_raise, StopIteration()),
    "RecursionError": _recurse,
    "mute": partial(_raise, _Mute()),
    "coloured": partial(_raise, ValueError(COLOURED)),
}
ENDS: dict[str, Callable[[], Any]] = {
    "SIGSEGV": partial(ctypes.string_at, 0),
    "SIGABRT": os.abort,
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
}


def baseline(name: str, **what: Any) -> BaselineSpec:
    """A baseline whose work is described by `what`, see `run`."""
    return BaselineSpec(name, "data", name, 0, {}, what, {})


def trial(name: str, of: BaselineSpec, **what: Any) -> TrialSpec:
    """A trial whose work is described by `what`, see `run`."""
    return TrialSpec(name, of, "method", {"name": name}, what, False, {})


def plan(*trials: TrialSpec, searches: tuple = (), baselines: tuple[BaselineSpec, ...] = ()) -> Plan:
    """A plan of the trials and their baselines."""
    found = {b.key: b for b in (*baselines, *(t.baseline for t in trials), *(s.baseline for s in searches))}
    return Plan("0123456789ab", tuple(found.values()), trials, searches)


def load(name: str, config: Any, cache: Path) -> SimpleNamespace:
    return SimpleNamespace(x_train=np.arange(10.0))


def prepare(request: Any, gpu_memory_mb: int | None) -> None:
    """Nothing."""


def run(work: Work, data: Any, store: ResultStore) -> Iterator[tuple[float, str]]:
    """Write a line when it starts and one when it ends, and in between do what the work says.

    sleep: seconds. until: key of other work, waits for its end. fail: raise ValueError. refuse: raise UserError.
    forget: commit nothing. die: kill the worker on this many first attempts. memory: raise MemoryError, away:
    StorageAway, likewise. bytes: size of a file of the result. raises: name in `RAISED` of what is raised. ends: name
    in `ENDS` of how the worker ends.
    """
    what = work.model_config if isinstance(work, BaselineSpec) else work.parameters
    attempt = _note(store.root, work.key, "start")
    if attempt <= what.get("die", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if attempt <= what.get("memory", 0):
        np.empty(2**46)  # more than there are addresses: refused at once on any machine
    if attempt <= what.get("away", 0):
        raise StorageAway("storage.uri cannot be used")
    if what.get("ends"):
        print(f"last words of {work.key}", file=sys.stderr)
        ENDS[what["ends"]]()
    yield 0.5, "half"
    time.sleep(what.get("sleep", 0))
    _wait_for_the_end_of(what.get("until"), store.root)
    if what.get("fail"):
        raise ValueError(f"a bug in {work.key}")
    if what.get("raises"):
        RAISED[what["raises"]]()
    if what.get("refuse"):
        raise UserError("this cannot be: change it")
    if not what.get("forget"):
        metrics = {"total": float(data.x_train.sum()), "pid": float(os.getpid())}
        metrics |= {name: float(value) for name, value in what.items() if isinstance(value, float)}
        with store.writing(work.key) as folder:
            if what.get("bytes"):
                (folder / "file").write_bytes(bytes(what["bytes"]))
            store.commit(folder, Result(work.key, work.kind, {}, metrics, {}, time.time() - 1, time.time()))
    _note(store.root, work.key, "end")
    yield 1.0, "done"


def _wait_for_the_end_of(key: str | None, root: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while key is not None and (key, "end") not in {line[:2] for line in notes(root)}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{key} has not ended")
        time.sleep(0.02)


def notes(root: Path) -> list[tuple[str, str, float, int]]:
    """(key, "start" or "end", monotonic seconds, process) in the order in which they were written."""
    lines = (root / "notes").read_text().splitlines() if (root / "notes").exists() else []
    return [(key, event, float(when), int(pid)) for key, event, when, pid in (line.split() for line in lines)]


def _note(root: Path, key: str, event: str) -> int:
    with (root / "notes").open("a") as file:
        file.write(f"{key} {event} {time.monotonic()} {os.getpid()}\n")
    return sum(line[:2] == (key, event) for line in notes(root))
