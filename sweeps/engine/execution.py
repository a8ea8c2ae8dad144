"""Executes a plan on Ray Tune."""

import json
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.config.settings import Settings
from sweeps.engine import orphans
from sweeps.engine.events import Announcer, Listener, Outcome
from sweeps.engine.lost_ray import RayLost
from sweeps.engine.ray_watch import RayWatch
from sweeps.engine.search import PointSource
from sweeps.engine.work_queue import WorkQueue
from sweeps.machines import Request, Room, ray_internals, room_of
from sweeps.process import Signals
from sweeps.specs import BaselineSpec, Plan
from sweeps.store import ResultStore


def run_plan(
    plan: Plan,
    settings: Settings,
    store: ResultStore,
    listeners: Sequence[Listener],
    procedures: Any = None,
    signals: Signals | None = None,
    room: Room | None = None,
) -> Outcome:
    """Do the work of a plan that has no result yet.

    Results that are in the store are announced and not made again. If nothing is missing, Ray is not started. SIGINT
    and SIGTERM end the run early: no new work starts, and running work has two seconds to finish. Before any work is
    handed out, they raise an exception. A disk that takes no more files ends the run in the same way. The loss of Ray
    ends it at once: the rest of Ray in this process can then end only with the process (`lost_ray.ray_was_left`).

    Args:
        plan: what to do.
        settings: `compute` and `storage` are used.
        store: where results are found and put; prepared.
        listeners: are told of everything.
        procedures: `sweeps.engine.worker.Procedures`; None: the real procedures.
        signals: entered already; None: signals are caught while this runs.
        room: what fits at once, if it is known already (`sweeps.machines.room_of`); None: it is found out here.

    Raises:
        UserError: no node has what a trial asks for, the cluster does not answer, a node does not reach the store, a
            dataset cannot be loaded.
    """
    announcer = Announcer(listeners)
    folder = settings.storage.root / "sweeps" / plan.sweep_id
    records = folder / "searches"
    with nullcontext(signals) if signals else Signals() as signals, orphans.ray_folder(folder) as ray_folder:
        signals.last_resort = partial(orphans.clear, ray_folder)
        store.sweep_temporary()
        store.sync([work.key for work in plan], stopped=lambda: bool(signals.caught))
        searches = [PointSource(search, records / f"{search.key}.jsonl") for search in plan.searches]
        queue = WorkQueue(plan, searches, store, announcer, settings.compute.max_retries)
        if not queue.done:
            try:
                if room is None:
                    room_of(settings.compute)  # refuses a request before data are loaded
                _execute(settings, store, queue, signals, procedures, ray_folder)
            except RayLost as error:
                announcer.close()  # a call that waits for Ray may still return and announce something
                if not queue.done:
                    queue.halt(str(error))
            store.sweep_temporary()  # of workers that have died since, also those of an earlier driver
        return announcer.outcome(signals.caught, queue.halted)


def _execute(
    settings: Settings,
    store: ResultStore,
    queue: WorkQueue,
    signals: Signals,
    procedures: Any,
    ray_folder: Path,
) -> None:
    import ray

    from sweeps.engine import ray_session
    from sweeps.engine.driver_node import DriverNode, check_storage
    from sweeps.engine.tune import execute
    from sweeps.engine.tune_state import Run
    from sweeps.engine.worker import Job, Procedures, SharedContext

    procedures = procedures or Procedures()
    datasets = {
        key: procedures.load(baseline.dataset, baseline.dataset_config, settings.storage.data)
        for key, baseline in _datasets(queue.baselines()).items()
    }
    data_bytes = sum(_bytes(data) for data in datasets.values())
    with (
        ExitStack() as until_ray_has_ended,
        ray_session.connected(settings.compute, data_bytes, ray_folder) as slots,
        RayWatch(ray_internals.this_node, last_resort=partial(orphans.clear, ray_folder)) as watch,
    ):
        request = Request.of(settings.compute)
        references = {key: ray.put(data) for key, data in datasets.items()}
        del datasets
        driver_node = DriverNode.here(settings.storage.cache, queue.baselines() if settings.compute.address else ())
        check_storage(store, driver_node, request.bundle())
        gpu_memory = settings.compute.gpu_memory_mb
        shared = ray.put(SharedContext(procedures, store, driver_node, request, gpu_memory, references))
        ray_folder.mkdir(exist_ok=True)  # a Ray that was joined has its files elsewhere
        run = Run(
            queue=queue,
            request=request,
            slots=slots,
            job_of=lambda work: Job(work, _dataset_key(work.baseline) if work else "", shared),
            interrupted=lambda: signals.caught,
            timeout_s=settings.compute.trial_timeout_s,
            folder=ray_folder,
            ray_is_lost=watch.is_lost,
            full=store.full,
            logs=ray_session.logs(),
        )
        # A signal that is raised while Ray shuts down would leave Ray half alive, and Ray would then end the process.
        until_ray_has_ended.enter_context(signals.noted())
        watch.call(partial(execute, run))


def _datasets(baselines: Sequence[BaselineSpec]) -> dict[str, BaselineSpec]:
    """{dataset key: a baseline that uses the dataset}."""
    return {_dataset_key(baseline): baseline for baseline in baselines}


def _dataset_key(baseline: BaselineSpec) -> str:
    return json.dumps([baseline.dataset, baseline.dataset_config], sort_keys=True, default=str)


def _bytes(data: Any) -> int:
    return sum(getattr(value, "nbytes", 0) for value in vars(data).values()) if hasattr(data, "__dict__") else 0
