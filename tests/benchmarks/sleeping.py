"""The command line with trials that sleep for a second, without TensorFlow: `python -m tests.benchmarks.sleeping`.

Configuration, plan, Ray, store, tracker and report are real.
"""

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from prune_core.masks.files import save_masks
from sweeps.engine.worker import Procedures
from sweeps.specs import BaselineSpec, Result, TrialSpec, Work
from sweeps.store import ResultStore

SECONDS = 1.0
WORKER = "worker"
"""Tag of a result: the process that made it."""
FIGURES = ("accuracy", "val_accuracy", "accuracy_baseline", "accuracy_drop", "loss", "sparsity", "compression_ratio")


def load(name: str, config: Any, cache: Path) -> SimpleNamespace:
    return SimpleNamespace()


def prepare(request: Any, gpu_memory_mb: int | None) -> None:
    """Nothing."""


def run(work: Work, data: Any, store: ResultStore) -> Iterator[tuple[float, str]]:
    """Sleep and commit a result as a trial does; the dense network is there at once."""
    result = sleep(work)
    with store.writing(work.key) as folder:
        if isinstance(work, TrialSpec):
            save_masks(folder / "masks.npz", {"dense/kernel": np.ones((30, 10), bool)})
        store.commit(folder, result)
    yield 1.0, "done"


def sleep(work: Work, seconds: float = SECONDS) -> Result:
    """The result of work that takes `seconds`, with invented figures."""
    started = time.time()
    time.sleep(0 if isinstance(work, BaselineSpec) else seconds)
    metrics = dict.fromkeys(FIGURES, 0.5) | {"params_total": 1000.0, "size_bytes": 1000.0}
    return Result(work.key, work.kind, {}, metrics, {WORKER: str(os.getpid())}, started, time.time())


def main() -> int:
    from sweeps import engine
    from sweeps import run as entry

    engine.run_plan = partial(engine.run_plan, procedures=Procedures(load, prepare, run))
    return entry.main()


if __name__ == "__main__":
    from tests.benchmarks import sleeping  # under its own name, by which workers find its functions

    sys.exit(sleeping.main())
