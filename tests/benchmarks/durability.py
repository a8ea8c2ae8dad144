"""The cost of waiting until results and artifacts are on the disk before they count, and of checking them again.

Five files of 120 kB together a result, on the disk of the temporary folder, MLflow on sqlite.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np

from sweeps.specs import Plan
from sweeps.store import ResultStore
from sweeps.tracking.runs import SweepRuns
from tests.helpers.sweep_fixtures import grid, result_of
from tests.helpers.trackers import run_sweep

_BYTES = {"masks.npz": 10_000, "network.pruned": 50_000, "look.npz": 20_000, "masks.png": 30_000, "more.png": 10_000}


def measure(trials: int = 200, at_most: float = 1.5) -> dict:
    """The time to commit and deliver `trials` results over the time of the same without waiting for the disk."""
    plan = grid(trials)
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        _work(Path(folder, "warm"), grid(2))
        with mock.patch.object(os, "fsync"):
            unsynced = _work(Path(folder, "unsynced"), plan)
        synced = _work(Path(folder, "synced"), plan)
        looks: list[float] = []
        with mock.patch.object(SweepRuns, "is_intact", _noting(SweepRuns.is_intact, looks)):
            run_sweep(Path(folder, "synced"), plan, cached=True)
    return {
        "name": "durability",
        "ratio": sum(synced) / sum(unsynced),
        "target": {"at_most": at_most},
        "commit ms": 1e3 * synced[0] / trials,
        "without waiting ms": 1e3 * unsynced[0] / trials,
        "deliver ms": 1e3 * synced[1] / trials,
        "deliver without waiting ms": 1e3 * unsynced[1] / trials,
        "looking at 1,000 runs again s": 1e3 * sum(looks) / len(looks),
    }


def _work(root: Path, plan: Plan) -> tuple[float, float]:
    """Seconds of committing, and of delivering."""
    store = ResultStore(root)
    store.prepare()
    return _timed(lambda: _commit(store, plan)), _timed(lambda: run_sweep(root, plan))


def _commit(store: ResultStore, plan: Plan) -> None:
    random = np.random.default_rng(0)
    for work in plan:
        with store.writing(work.key) as folder:
            for name, size in _BYTES.items():
                (folder / name).write_bytes(random.bytes(size))
            store.commit(folder, result_of(work))


def _noting(function: Callable[..., bool], seconds: list[float]) -> Callable[..., bool]:
    """The same function, which notes how long each call takes."""

    def noting(*arguments) -> bool:
        started = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds.append(time.perf_counter() - started)

    return noting


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
