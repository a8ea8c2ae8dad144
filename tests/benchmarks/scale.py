"""How the driver's own work grows with the cluster: thousands of workers, simulated on a clock of their own.

Plan, work queue, store, progress and tracker (MLflow on sqlite) are real; Ray is left out, and `bookkeeping` measures
its share. A trial takes a minute of simulated time. Commits to the store are the workers' work and are not counted.
Each worker gets two trials at least, so that all of them are busy at once and end at once.
"""

import heapq
import io
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.engine.events import Announcer
from sweeps.engine.work_queue import WorkQueue
from sweeps.plan import make_plan
from sweeps.store import ResultStore
from sweeps.terminal import Progress
from sweeps.tracking import Tracker
from tests.benchmarks.bookkeeping import overrides_of
from tests.benchmarks.sleeping import sleep

TRIAL_S = 60.0
WORKERS = (16, 1000, 4000)
LEAST_TRIALS = 2000


def measure(at_most: float = 1.5) -> dict:
    """The driver's CPU time for each trial: the largest with thousands of workers, over that with a few."""
    costs = {workers: _cost(workers, max(LEAST_TRIALS, 2 * workers)) for workers in WORKERS}
    few, *many = (cost["ms a trial"] for cost in costs.values())
    return {
        "name": "scale",
        "ratio": max(many) / few,
        "target": {"at_most": at_most},
        **{f"{workers} workers, {name}": value for workers, cost in costs.items() for name, value in cost.items()},
    }


def _cost(workers: int, trials: int) -> dict[str, float]:
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        settings = settings_of(compose([*overrides_of(trials), f"storage.root={folder}"]))
        plan = make_plan(settings)
        store = ResultStore(Path(folder))
        store.prepare()
        tracker = Tracker(settings, plan, store, settings.config, problems=print)
        tracker.start()
        with Progress(plan, workers, io.StringIO()) as progress:
            queue = WorkQueue(plan, [], store, Announcer([progress, tracker]), 2)
            before = time.process_time()
            clock, committing = _simulate(queue, store, workers)
            tracker.flush(3600.0)
            spent = time.process_time() - before - committing
        tracker.finish("FINISHED", {}, {}, 3600.0)
    return {
        "trials": trials,
        "ms a trial": 1e3 * spent / trials,
        "simulated busy": TRIAL_S * trials / clock / min(workers, trials),
    }


def _simulate(queue: WorkQueue, store: ResultStore, workers: int) -> tuple[float, float]:
    """Do all work; gives the simulated seconds that it took, and the CPU seconds that were the workers'."""
    clock = committing = 0.0
    running: list[tuple[float, str]] = []
    while not queue.done:
        while len(running) < workers and (work := queue.next()):
            queue.started(work.key)
            before = time.process_time()
            with store.writing(work.key) as folder:
                store.commit(folder, sleep(work, seconds=0))
            committing += time.process_time() - before
            heapq.heappush(running, (clock + TRIAL_S, work.key))
        clock, key = heapq.heappop(running)
        queue.finished(key)
    return clock, committing
