"""The phases of a sweep on the driver, timed."""

import time
from dataclasses import dataclass, field
from typing import Literal

from sweeps.specs import Failure, Result, Work

Phase = Literal["start", "work", "stop", "deliver", "report"]
"""Workers and tracker start, work is done, Ray ends, MLflow takes what still waits, the report is drawn."""


@dataclass
class Phases:
    """A `sweeps.engine.events.Listener` that times the phases of a sweep; the first phase begins when this is made.

    Work begins when a worker takes the first piece of it, and ends with the last piece.
    """

    _entered: dict[Phase, float] = field(default_factory=lambda: {"start": time.monotonic()})
    _last: float | None = None

    def enter(self, phase: Phase) -> None:
        """The next phase begins."""
        self._entered.setdefault(phase, time.monotonic())

    def stopped(self) -> None:
        """Ray has ended. Its end began when the last piece of work was done."""
        if self._last is not None:
            self._entered["stop"] = self._last

    @property
    def seconds(self) -> dict[str, float]:
        """{phase: seconds so far}, in their order."""
        begins = list(self._entered.values())
        ends = [*begins[1:], time.monotonic()]
        return {phase: end - begin for phase, begin, end in zip(self._entered, begins, ends, strict=True)}

    @property
    def metrics(self) -> dict[str, float]:
        """The same by their names on the sweep's run in MLflow: "seconds.start", ..."""
        return {f"seconds.{phase}": seconds for phase, seconds in self.seconds.items()}

    def started(self, work: Work) -> None:
        """Work begins with the first piece."""
        self.enter("work")

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        """Not needed here."""

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        """This may have been the last piece."""
        if not cached:
            self._last = time.monotonic()

    def failed(self, failure: Failure) -> None:
        """This may have been the last piece."""
        self._last = time.monotonic()
