"""The work queue on Ray Tune: a searcher hands work out, a callback takes in the results."""

import logging
import shutil
import tempfile
import time
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.schedulers import FIFOScheduler
from ray.tune.stopper import Stopper

from sweeps.engine import lost_workers
from sweeps.engine.result_callback import GRACE_S, ResultCallback
from sweeps.engine.tune_state import Run
from sweeps.engine.work_searcher import NoWorkersError, WorkSearcher
from sweeps.engine.worker import Worker
from sweeps.machines import ray_internals

log = logging.getLogger(__name__)
# How many runs of Tune in a row may end with an error while nothing runs, before the sweep is given up.
_BARREN_RUNS = 5


def execute(run: Run) -> None:
    """Do the work of the queue to its end, or until a signal.

    Tune ends its whole run after some losses of workers and nodes. The running work is lost, and a new run goes on.

    Raises:
        Exception: Tune's own, if its runs fail again and again while nothing runs.
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
            if barren > _BARREN_RUNS:
                raise
            if full := run.full(error):  # on the driver: the record of a search, Tune's own folder
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
    bundle, starting = run.bundle, run.starting  # all that the lambda below holds is sent to every worker
    folder = tempfile.mkdtemp(prefix="tune-", dir=run.folder)
    try:
        Tuner(
            tune.with_resources(Worker, lambda config: bundle if config["job"].work else starting),
            tune_config=TuneConfig(
                search_alg=WorkSearcher(run),
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
                callbacks=[ResultCallback(run)],
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=FailureConfig(max_failures=0),
                verbose=0,
            ),
        ).fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Stopper(Stopper):
    """Ends the Tune run when all work is done, or after the grace period that follows a signal or a full disk.

    Without this, Tune waits for workers that have not started yet, perhaps for ever: their node may have gone.
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

    It also changes Tune's controller, which a scheduler has access to: the loss of a worker does not end the run, and
    trials are not written to disk for a restore that never happens (milliseconds for each trial, all at the end).
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
