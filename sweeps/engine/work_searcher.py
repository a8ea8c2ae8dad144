"""Hands work out: the searcher of a run of Ray Tune."""

from typing import Any

from ray.tune.search import Searcher

from sweeps.engine import lost_workers
from sweeps.engine.tune_state import Run

FAILED_STARTS = 5
"""How many workers in a row may die while they start, before the sweep is given up."""


class NoWorkersError(RuntimeError):
    """Workers die before they can take any work; `traceback`: the last words of one of them."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class WorkSearcher(Searcher):
    """Prepares workers, and gives each idle worker the next work of the queue.

    Work goes to idle workers only. Otherwise Tune would ask for a new worker for each piece of work, and drop it if an
    older worker became free before the new one had started: with short trials, a second worker would never get ready.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(metric=None, mode=None)
        self._run = run
        self._starting: set[str] = set()
        self._busy: set[str] = set()
        self._idle = 0
        self._failed_starts = 0

    def suggest(
        self, trial_id: str
    ) -> Any:  # a dict, None: nothing now, or FINISHED, which Ray's annotation leaves out
        queue = self._run.queue
        work = queue.next() if self._idle else None
        if work is not None:
            self._idle -= 1
            self._busy.add(trial_id)
        elif queue.done:
            return Searcher.FINISHED
        elif self._needs_a_worker():
            self._starting.add(trial_id)
        else:
            return None
        return {"job": self._run.job_of(work)}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if trial_id in self._starting and error:
            self._failed_starts += 1
        elif trial_id in self._starting:
            self._failed_starts = 0
        self._starting.discard(trial_id)
        self._busy.discard(trial_id)
        self._idle += not error

    def _needs_a_worker(self) -> bool:
        queue = self._run.queue
        wanted = min(self._run.slots, len(queue.running) + queue.unstarted)
        if self._failed_starts > FAILED_STARTS and not self._busy and not self._idle:
            loss = self._run.start_loss or lost_workers.Loss("")
            raise NoWorkersError(
                f"{self._failed_starts} workers in a row died while starting; the last one: {loss.reason}",
                loss.traceback,
            )
        return self._idle + len(self._busy) + len(self._starting) < wanted
