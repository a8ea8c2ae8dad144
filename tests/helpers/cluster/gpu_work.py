"""Sleeping trials on a joined cluster: `python -m tests.helpers.cluster.gpu_work FOLDER ADDRESS GPUS_PER_TRIAL [TYPE]`.

The tag `gpus` of each result says which GPUs its worker saw.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps.config import ComputeSettings, StorageSettings
from sweeps.engine import run_plan
from sweeps.engine.worker import Procedures
from sweeps.specs import Result, Work
from sweeps.store import ResultStore
from tests.helpers import trivial_work as trivial

N_TRIALS = 12
SECONDS = 1.0


def run(work: Work, data: Any, store: ResultStore) -> Iterator[tuple[float, str]]:
    """Sleep, and commit what it saw."""
    started = time.time()
    time.sleep(SECONDS)
    tags = {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    with store.writing(work.key) as folder:
        store.commit(folder, Result(work.key, work.kind, {}, {}, tags, started, time.time()))
    yield 1.0, "done"


def main(root: Path, address: str, gpus: float, gpu_type: str | None = None) -> int:
    store = ResultStore(root)
    store.prepare()
    network = trivial.baseline("network")
    plan = trivial.plan(*(trivial.trial(f"trial{number}", network) for number in range(N_TRIALS)))
    compute = ComputeSettings(address=address, cpus_per_trial=0.1, gpus_per_trial=gpus, accelerator_type=gpu_type)
    settings: Any = SimpleNamespace(compute=compute, storage=StorageSettings(root, root))
    outcome = run_plan(plan, settings, store, [], Procedures(trivial.load, trivial.prepare, run))
    return len(outcome.failures)


if __name__ == "__main__":
    from tests.helpers.cluster import gpu_work  # under its own name, by which workers find its functions

    sys.exit(gpu_work.main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *sys.argv[4:]))
