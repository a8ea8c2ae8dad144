"""The work queue on Ray Tune: a searcher hands work out, a callback takes in what became of it."""

import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, TuneConfig, Tuner
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from prune_core.errors import UserError
from sweeps.engine import lost_workers
from sweeps.engine.last_words import Logs
from sweeps.engine.work_queue import WorkQueue
from sweeps.engine.worker import Job, Worker
from sweeps.machines import Request, ray_internals
from sweeps.specs import Work

log = logging.getLogger(__name__)

# So many workers may die one after the other while they start, before the sweep is given up; and so many runs of Tune
# end with an error while nothing runs.
_FAILED_STARTS = 5

# How long running work may go on after a signal, or when a disk is full: short trials are finished, long ones ended.
GRACE_S = 2.0


@dataclass
class Run:
    """What searcher, callback and stopper of one Tune run share.

    Attributes:
        queue: what to do.
        request: what one piece of work asks for.
        slots: how many run at once.
        job_of: wraps work (None: nothing, to ready a worker) for its way to a worker.
        interrupted: number of the signal caught, 0 if none.
        timeout_s: after which a piece of work is ended, or None.
        folder: that is removed when Ray has ended, or at the next start; Tune's files go there.
        full: an error as a sentence, if it says that a disk is full.
        ray_is_lost: whether Ray itself has died, and its workers with it.
        started_at: {key: when a worker took the work}, as long as it has it.
        logs: of this node, with the last words of workers.
    """

    queue: WorkQueue
    request: Request
    slots: int
    job_of: Callable[[Work | None], Job]
    interrupted: Callable[[], int]
    timeout_s: float | None
    folder: Path | None = None
    full: Callable[[BaseException], UserError | None] = lambda error: None
    ray_is_lost: Callable[[], bool] = lambda: False
    started_at: dict[str, float] = field(default_factory=dict)
    ended_by_us: dict[str, str] = field(default_factory=dict)
    dead_on_arrival: Counter[str] = field(default_factory=Counter)
    stopped_at: float | None = None
    logs: Logs | None = None
    start_loss: lost_workers.Loss | None = None

    def __post_init__(self) -> None:
        self.bundle = PlacementGroupFactory([self.request.bundle()], strategy="PACK")
        # The same for one bundle, but another one to Tune: a worker that is starting is not mixed up with an idle one.
        self.starting = PlacementGroupFactory([self.request.bundle()], strategy="STRICT_PACK")

    def lost(self, key: str, reason: str, out_of_memory: bool, traceback: str = "") -> None:
        """The worker that was given this work has died.

        If it was dead before it took the work, that was no try: all idle workers may have died at once.
        """
        by_us = self.ended_by_us.pop(key, None)
        taken = self.started_at.pop(key, None) is not None
        self.dead_on_arrival[key] += not taken
        if by_us:
            self.queue.failed(key, by_us)
        elif taken or self.dead_on_arrival[key] > self.slots:
            self.queue.lost(key, reason, out_of_memory, traceback)
        else:
            self.queue.not_begun(key)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher to disk for a restore that is never asked for, listeners hold locks."""
        return {}


class NoWorkersError(RuntimeError):
    """Workers die before they can take any work; `traceback`: the last words of one of them."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


def execute(run: Run) -> None:
    """Work the queue off, or until a signal.

    Tune gives up as a whole on some losses of workers and nodes: what ran then is lost work, and a fresh run goes on.

    Raises:
        Exception: Tune's own, if it gives up again and again with nothing running.
    """
    barren = 0
    while not run.queue.done:
        try:
            _fit(run)
        except ray_internals.RayChanged:
            raise
        except NoWorkersError as error:
            if run.ray_is_lost():
                raise
            run.queue.abandon(str(error), error.traceback)
        except Exception as error:
            if run.ray_is_lost():
                raise
            running = run.queue.running
            barren = 0 if running else barren + 1
            if barren > _FAILED_STARTS:
                raise
            if full := run.full(error):  # of the driver: the record of a search, Tune's own folder
                run.queue.halt(str(full))
            text = str(error)
            reason = lost_workers.reason(text) or type(error).__name__
            for key in running:
                run.lost(key, reason, lost_workers.is_out_of_memory(text))
            if not run.queue.done:
                log.warning("Ray Tune stopped and is started again: %s", reason)
        else:
            for key in run.queue.running:
                run.lost(key, "Ray Tune ended before it did", out_of_memory=False)
        if run.interrupted():
            run.queue.stop()


def _fit(run: Run) -> None:
    bundle, starting = run.bundle, run.starting  # what the lambda below holds travels to every worker
    folder = tempfile.mkdtemp(prefix="tune-", dir=run.folder)
    try:
        Tuner(
            tune.with_resources(Worker, lambda config: bundle if config["job"].work else starting),
            tune_config=TuneConfig(
                search_alg=_WorkSearcher(run),
                scheduler=_WarmScheduler(run),
                max_concurrent_trials=run.slots,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=RunConfig(
                name="sweep",
                storage_path=folder,
                stop=_Stopper(run),
                callbacks=[_ResultCallback(run)],
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=0),
                verbose=0,
            ),
        ).fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _WorkSearcher(Searcher):
    """Readies workers, and gives each idle one the work that the queue gives.

    Work goes to idle workers only. Left to itself, Tune asks for a new worker for each piece of work, and drops one
    that is still starting whenever an older one comes free first: with short trials no second one ever gets ready.
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
        if self._failed_starts > _FAILED_STARTS and not self._busy and not self._idle:
            loss = self._run.start_loss or lost_workers.Loss("")
            raise NoWorkersError(
                f"{self._failed_starts} workers in a row died while starting, the last so: {loss.reason}",
                loss.traceback,
            )
        return self._idle + len(self._busy) + len(self._starting) < wanted


class _ResultCallback(TrialProgressCallback):
    """Tells the queue. An exception here would end the whole Tune run: none leaves.

    Stands in the place of Tune's own callback, which asks workers that have died for what they last said.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._actors: dict[str, Any] = {}

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        _guarded(self._end_overdue)

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _guarded(self._started, trial)

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        _guarded(self._result, trial, result)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        _guarded(self._error, trial)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Its last result has said so already."""

    def _started(self, trial: Any) -> None:
        key = _key(trial)
        if key:
            self._actors[key] = ray_internals.actor_of(trial)
            self._run.started_at[key] = time.monotonic()
            self._run.queue.started(key)

    def _result(self, trial: Any, result: dict) -> None:
        key = _key(trial)
        queue = self._run.queue
        if full := result.get("no_room"):
            queue.halt(full)
        if key is None:
            trial.placement_group_factory = self._run.bundle  # from now on the worker is one for work
            if result.get("failure") and not full:
                log.warning("a worker could not be readied: %s", result["failure"])
        elif not result["done"]:
            queue.progressed(key, result["fraction"], result["note"])
        else:
            self._forget(key)
            if full:
                queue.no_room(key, full)
            elif result.get("lost") or (result.get("interrupted") and self._run.interrupted()):
                queue.lost(key, result["failure"], result["out_of_memory"], result["traceback"])
            elif result.get("failure"):
                queue.failed(key, result["failure"], result["traceback"])
            else:
                queue.finished(key)

    def _error(self, trial: Any) -> None:
        key = _key(trial)
        loss = lost_workers.Loss.of(lost_workers.text_of(trial), self._run.logs)
        if key is None:
            self._run.start_loss = loss
            return
        self._actors.pop(key, None)
        if loss.of_ray_itself or self._run.ray_is_lost():
            return  # no fault of the work, and no try: the run is about to be left
        self._run.lost(key, loss.reason, loss.out_of_memory, loss.traceback)

    def _forget(self, key: str) -> None:
        self._actors.pop(key, None)
        self._run.started_at.pop(key, None)

    def _end_overdue(self) -> None:
        run = self._run
        now = time.monotonic()
        if (run.interrupted() or run.queue.halted) and run.stopped_at is None:
            run.stopped_at = now
            run.queue.stop()
        if run.stopped_at is not None and now - run.stopped_at > GRACE_S:
            for actor in self._actors.values():
                ray.kill(actor)
            self._actors.clear()
        if run.timeout_s is None:
            return
        for key, since in list(run.started_at.items()):
            if now - since > run.timeout_s and key in self._actors:
                run.ended_by_us[key] = f"ended after {run.timeout_s:g} s (compute.trial_timeout_s)"
                ray.kill(self._actors.pop(key))


class _Stopper(Stopper):
    """Ends the Tune run when all is done, or once running work has had its grace after a signal or on a full disk.

    Left to itself, Tune waits for workers that are still to start, which may be for ever: their node may have gone.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        since = self._run.stopped_at
        if since is None:
            return self._run.queue.done
        return not self._run.queue.running or time.monotonic() - since > GRACE_S + 0.5


class _WarmScheduler(FIFOScheduler):
    """Keeps idle workers: Tune ends all but one of them, and each new one would import TensorFlow again.

    As the one who meets Tune's controller, it also makes it take the loss of a worker for no more than that, and keeps
    it from writing down every trial for a restore that is never asked for: milliseconds each, all at the end.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._told = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if not self._told:
            controller = ray_internals.controller_of(tune_controller)
            ray_internals.keep_idle_workers(controller, self._run.bundle, self._run.slots)
            ray_internals.write_no_state(controller)
            ray_internals.translate_actor_errors(controller, lost_workers.as_end_of_one)
            self._told = True


def _key(trial: Any) -> str | None:
    work = trial.config["job"].work
    return work.key if work else None


def _guarded(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception:
        log.exception("%s failed: the sweep goes on", function.__name__)
