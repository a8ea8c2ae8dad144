"""Takes in the results of work: the callback of a run of Ray Tune."""

import logging
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune.progress_reporter import TrialProgressCallback

from sweeps.engine import lost_workers
from sweeps.engine.tune_state import Run
from sweeps.machines import ray_internals

log = logging.getLogger(__name__)
GRACE_S = 2.0
"""How long running work may go on after a signal or on a full disk: short trials are finished, long ones ended."""


class ResultCallback(TrialProgressCallback):
    """Tells the queue. An exception here would end the whole run of Tune, so only `RayChanged` is raised.

    It replaces Tune's own callback, which asks even dead workers for their last output.
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
        """The trial's last result has told this already."""

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
            trial.placement_group_factory = self._run.bundle  # from now on the worker takes work
            if result.get("failure") and not full:
                log.warning("a worker could not be prepared: %s", result["failure"])
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
            return  # not the work's fault, and not an attempt: the run is about to be left
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


def _key(trial: Any) -> str | None:
    work = trial.config["job"].work
    return work.key if work else None


def _guarded(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except ray_internals.RayChanged:
        raise
    except Exception:
        log.exception("%s failed: the sweep goes on", function.__name__)
