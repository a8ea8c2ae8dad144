"""What the service costs beside the work: trials that only sleep, 16 at once, MLflow on sqlite attached.

Ray publishes, without a tracker, 10,000 trials of one second on 16 processors in 715 s: 14 % over the floor.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sweeps.specs import Result
from sweeps.store import ResultStore
from tests.benchmarks.sleeping import SECONDS, WORKER
from tests.benchmarks.sweep_costs import plan_of

AT_ONCE = 16


def overrides_of(trials: int) -> list[str]:
    """The command line of a sweep of `trials` trials, a multiple of ten, on one dense network."""
    grid = ",".join(f"{10 * number / trials:.6f}" for number in range(trials // 10))
    clusters = ",".join(map(str, range(2, 12)))
    axes = [f"sparsities=[{grid}]", f"n_clusters=[{clusters}]"]
    return ["method=weight", "debug=quick", *axes, f"compute.num_cpus={AT_ONCE}", "compute.num_gpus=0"]


def measure(trials: int = 1000, at_most: float = 1.05) -> dict:
    """Worker time over time asleep, from the first trial of each worker to the end of the last trial.

    How long 16 processes take to start depends more on the machine than on the service, so that is shown separately.
    """
    overrides = overrides_of(trials)
    plan = plan_of(overrides)
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        command = [sys.executable, "-m", "tests.benchmarks.sleeping", *overrides, f"storage.root={folder}"]
        started = time.time()
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(driver.pid, 0)
        whole = time.time() - started
        if status:
            raise RuntimeError(f"the sweep ended with status {status}")
        store = ResultStore(Path(folder))
        results = [result for trial in plan.trials if (result := store.load(trial.key))]
    ended = max(result.ended_at for result in results)
    occupied = sum(ended - first for first in _first_starts(results))
    return {
        "name": "bookkeeping",
        "ratio": occupied / (SECONDS * len(results)),
        "target": {"at_most": at_most},
        "trials": len(results),
        "workers": len(_first_starts(results)),
        "whole command s": whole,
        "floor s": SECONDS * trials / AT_ONCE,
        "until the first trial s": min(result.started_at for result in results) - started,
        "after the last trial s": started + whole - ended,
        "driver's CPU ms a trial": 1e3 * (usage.ru_utime + usage.ru_stime) / trials,
        "driver's memory MiB": usage.ru_maxrss / 1024,
    }


def _first_starts(results: Sequence[Result]) -> list[float]:
    """When each worker began its first trial."""
    starts = defaultdict(list)
    for result in results:
        starts[result.tags[WORKER]].append(result.started_at)
    return [min(times) for times in starts.values()]
