"""What a large grid costs before anything runs: planning it, and finding all of it finished."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from sweeps.engine.events import Announcer
from sweeps.engine.work_queue import WorkQueue
from sweeps.plan import missing_of
from sweeps.specs import Work
from sweeps.store import ResultStore
from tests.benchmarks.sleeping import sleep
from tests.benchmarks.sweep_costs import plan_of

MOST_CACHED = 2_000


def overrides_of(trials: int) -> list[str]:
    """The command line of `trials` trials, a multiple of 1000: a hundredth of them on each of 100 dense networks."""
    grid = ",".join(f"{1000 * number / trials:.6f}" for number in range(trials // 1000))
    seeds, clusters = (",".join(map(str, range(first, end))) for first, end in ((0, 100), (2, 12)))
    return ["method=weight", "debug=quick", f"sparsities=[{grid}]", f"n_clusters=[{clusters}]", f"seeds=[{seeds}]"]


def measure(trials: int = 100_000) -> dict:
    """Planning over the least that it can cost: writing what determines each trial as JSON and hashing it once.

    Times are of the processor; only what waits for the disk is measured by the clock.
    """
    started = time.process_time()
    plan = plan_of(overrides_of(trials))
    planned = time.process_time() - started
    assert len(plan.trials) == trials

    started = time.process_time()
    for trial in plan.trials:
        content = {"baseline": trial.baseline.key, "method": trial.method, "parameters": trial.parameters}
        hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    hashed = time.process_time() - started

    some = type(plan)(plan.sweep_id, plan.baselines, plan.trials[:MOST_CACHED])
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        store = ResultStore(Path(folder))
        store.prepare()
        with ThreadPoolExecutor(16) as pool:  # what is written waits for the disk
            list(pool.map(lambda work: _commit(store, work), some))
        started = time.perf_counter()
        assert not missing_of(some, store).is_work_left
        assert WorkQueue(some, [], store, Announcer([]), 0).done
        found = time.perf_counter() - started
    return {
        "name": "planning",
        "ratio": planned / hashed,
        "target": {"at_most": 6},
        "trials": trials,
        "planning s": planned,
        "hashing s": hashed,
        "finding a finished trial ms": 1e3 * found / len(some),
    }


def _commit(store: ResultStore, work: Work) -> None:
    with store.writing(work.key) as folder:
        store.commit(folder, sleep(work, 0))
