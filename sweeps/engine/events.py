"""What the engine tells the rest of the service while a sweep runs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sweeps.specs import Failure, Result, Work

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Is told of every piece of work, in the scheduling loop: return quickly, and leave slow things to a thread.

    Each piece of work that the sweep needs ends in exactly one `finished` or one `failed`. A retry after a lost worker
    calls `started` again.
    """

    def started(self, work: Work) -> None:
        """A worker has taken the work."""

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        """How far the work is: `fraction` in [0, 1] and a few words, e.g. "epoch 3/10 val_accuracy 0.91"."""

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        """The result is in the store; `cached`: it was found there and the work was not done again."""

    def failed(self, failure: Failure) -> None:
        """The work ended without a result."""


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        finished: pieces of work (baselines and trials) done by this run.
        cached: pieces of work whose results were found in the store.
        failures: everything that ended without a result, in the order in which it happened.
        interrupted: number of the signal that ended the run early, 0 if none did.
        halted: why the run was ended early although nobody asked for it, as one sentence; "" if it was not.
    """

    finished: int = 0
    cached: int = 0
    failures: tuple[Failure, ...] = ()
    interrupted: int = 0
    halted: str = ""


class Announcer:
    """Passes events on to listeners and counts the events. A listener that fails does not stop the sweep."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._finished = 0
        self._cached = 0
        self._failures: list[Failure] = []
        self._closed = False

    def started(self, work: Work) -> None:
        self._tell("started", work)

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        self._tell("progressed", work, fraction, note)

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        self._finished += not cached
        self._cached += cached
        self._tell("finished", work, result, cached)

    def failed(self, failure: Failure) -> None:
        self._failures.append(failure)
        self._tell("failed", failure)

    def close(self) -> None:
        """Pass nothing on from now on."""
        self._closed = True

    def outcome(self, interrupted: int, halted: str = "") -> Outcome:
        """What has been announced so far."""
        return Outcome(self._finished, self._cached, tuple(self._failures), interrupted, halted)

    def _tell(self, event: str, *details: object) -> None:
        if self._closed:
            return
        for listener in self._listeners:
            try:
                getattr(listener, event)(*details)
            except Exception:
                log.exception("%s failed at %r: the sweep goes on", type(listener).__name__, event)
