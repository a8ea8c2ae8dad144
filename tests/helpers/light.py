"""The command line, with work that needs no TensorFlow: `python -m tests.helpers.light`.

Everything else is real: configuration, plan, Ray, store, tracker. The environment says what goes wrong, and when;
workers inherit it.

    LIGHT_SECONDS  how long a piece of work takes (0.2); a baseline in ten steps, a trial in one
    LIGHT_GAP      a gap of the tracker, e.g. "run created": the driver kills itself there ...
    LIGHT_GAP_AT   ... when it comes there for the n-th time (1)
    LIGHT_STEP     "computed" or "committed": a worker kills the driver before or after its result is in the store
    LIGHT_STEP_AT  ... when this many results are there (0)
    LIGHT_TROUBLE  {name of a method, or key of a trial: what its trials do, or what it does}: "shape", "nan", "hang",
                   "wait", "memory", "greedy", "hoard"
    LIGHT_CLOCK    by how many seconds the clock jumps while a piece of work is done (0)
"""

import ctypes
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil

from prune_core.masks.files import save_masks
from sweeps.engine.worker import Procedures
from sweeps.specs import BaselineSpec, Result, TrialSpec, Work
from sweeps.store import ResultStore

JOURNAL = "journal"
DRIVER = "LIGHT_DRIVER"


def load(name: str, config: Any, cache: Path) -> SimpleNamespace:
    return SimpleNamespace(x_train=np.arange(10.0))


def prepare(request: Any, gpu_memory_mb: int | None) -> None:
    """Nothing."""


def run(work: Work, data: Any, store: ResultStore) -> Iterator[tuple[float, str]]:
    """Write down that it starts, take some time, commit masks that only the key determines, write down that it ends."""
    note(store.root, work.key, "start")
    started, jump = time.time(), float(os.environ.get("LIGHT_CLOCK", "0"))
    if isinstance(work, TrialSpec):
        troubles = json.loads(os.environ.get("LIGHT_TROUBLE", "{}"))
        _trouble(troubles.get(work.key) or troubles.get(work.method, ""), store.root, work.key)
    steps = 10 if isinstance(work, BaselineSpec) else 1
    for step in range(1, steps + 1):
        time.sleep(float(os.environ.get("LIGHT_SECONDS", "0.2")) / steps)
        yield step / steps, f"step {step}/{steps}"
    kept = np.random.default_rng(int(work.key[:8], 16)).random((300, 100)) < 0.5
    with store.writing(work.key) as folder:
        save_masks(folder / "masks.npz", {"dense_1/kernel": kept})
        _end_driver("computed", store)
        metrics = {
            **dict.fromkeys(("accuracy", "val_accuracy", "accuracy_baseline"), float(kept.mean())),
            **dict.fromkeys(("params_total", "size_bytes", "size_bytes_baseline"), 1000.0),
            "loss": 1.0,
            "accuracy_drop": 0.0,
            "sparsity": 0.5,
            "compression_ratio": 1.0,
        }
        store.commit(
            folder,
            Result(
                work.key,
                work.kind,
                {},
                metrics,
                {},
                started_at=started,
                ended_at=time.time() + jump,
                config=asdict(work),
            ),
        )
    note(store.root, work.key, "end")
    _end_driver("committed", store)
    yield 1.0, "done"


def note(root: Path, key: str, event: str) -> None:
    """A line of the journal; appended in one piece, also by several processes at once."""
    with (root / JOURNAL).open("a") as file:
        file.write(f"{key} {event} {os.getpid()}\n")


def journal(root: Path) -> list[tuple[str, str]]:
    """(key, "start" or "end") in the order in which it happened."""
    return [(key, event) for key, event, _ in _journal(root)]


def _journal(root: Path) -> list[tuple[str, str, int]]:
    path = root / JOURNAL
    lines = path.read_text().splitlines() if path.exists() else []
    return [(key, event, int(pid)) for key, event, pid in (line.split() for line in lines)]


def _trouble(kind: str, root: Path, key: str) -> None:
    if kind == "shape":
        np.ones((2, 3)) @ np.ones((2, 3))
    elif kind == "nan":
        raise FloatingPointError("the loss is nan after epoch 1 of 2: lower training.learning_rate")
    elif kind == "hang":
        ctypes.PyDLL(None).sleep(3600)  # without giving up the interpreter: no thread of the worker runs any more
    elif kind == "wait":
        time.sleep(3600)
    elif kind == "hoard":
        _hoard()
    elif kind == "greedy" and _running(root) > 1:
        os.kill(os.getpid(), signal.SIGKILL)  # as Linux does with the biggest process when memory runs out
    elif kind == "memory" and journal(root).count((key, "start")) == 1:
        np.empty(2**46)  # more than there are addresses: refused at once on any machine


def _hoard() -> None:
    """Take memory bit by bit, so that Ray has time to see it, until somebody ends this process."""
    taken = []
    while True:
        taken.append(np.ones(2**20))
        time.sleep(0.02)


def _running(root: Path) -> int:
    """How many pieces of work are being done; those whose worker was killed do not count."""
    last = {key: (event, pid) for key, event, pid in _journal(root)}
    return sum(event == "start" and psutil.pid_exists(pid) for event, pid in last.values())


def _end_driver(step: str, store: ResultStore) -> None:
    if os.environ.get("LIGHT_STEP") == step and _finished(store) >= int(os.environ.get("LIGHT_STEP_AT", "0")):
        os.kill(int(os.environ[DRIVER]), signal.SIGKILL)
        time.sleep(60)  # this worker ends with its driver


def _finished(store: ResultStore) -> int:
    return len(list(store.results.glob("*/result.json")))


class Gap:
    """Ends the driver in the named gap of the tracker."""

    def __init__(self) -> None:
        self._left = int(os.environ.get("LIGHT_GAP_AT", "1"))

    def __call__(self, name: str) -> None:
        if name == os.environ.get("LIGHT_GAP"):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    from sweeps import engine, tracking
    from sweeps import run as entry

    os.environ[DRIVER] = str(os.getpid())
    # Both take as an argument what the command line leaves out.
    engine.run_plan = partial(engine.run_plan, procedures=Procedures(load, prepare, run))
    tracking.Tracker = partial(tracking.Tracker, at=Gap())  # type: ignore[assignment,misc]
    entry.command()


if __name__ == "__main__":
    from tests.helpers import light  # under its own name, by which workers find its functions

    light.main()
