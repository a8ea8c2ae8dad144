"""What the parts of one run of Ray Tune share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory

from prune_core.errors import UserError
from sweeps.engine import lost_workers
from sweeps.engine.last_words import Logs
from sweeps.engine.work_queue import WorkQueue
from sweeps.engine.worker import Job
from sweeps.machines import Request
from sweeps.specs import Work


@dataclass
class Run:
    """What searcher, callback and stopper of one Tune run share.

    Attributes:
        queue: what to do.
        request: what one piece of work asks for.
        slots: how many run at once.
        job_of: makes the job of a piece of work; None: a job without work, which only prepares a worker.
        interrupted: number of the signal caught, 0 if none.
        timeout_s: seconds after which a piece of work is ended, or None.
        folder: for Tune's files; it is removed when Ray has ended, or at the next start.
        full: gives an error as a sentence if it says that a disk is full, else None.
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
        # The same for one bundle, but different for Tune: it does not take a worker that is starting for an idle one.
        self.starting = PlacementGroupFactory([self.request.bundle()], strategy="STRICT_PACK")

    def lost(self, key: str, reason: str, out_of_memory: bool, traceback: str = "") -> None:
        """The worker that was given this work has died.

        If it was dead before it took the work, this is not an attempt: all idle workers may have died at once.
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
        """Nothing: Tune pickles its searcher to disk for a restore that never happens, and listeners hold locks."""
        return {}
