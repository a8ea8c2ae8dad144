"""Where the time of a sweep went: that of its workers by step, that of the driver by phase."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sweeps.reporting.results import Row
from sweeps.specs import Failure, Result, Work

Phase = Literal["start", "work", "stop", "deliver", "report"]
"""Workers and tracker start, work is done, Ray ends, MLflow takes what still waits, the report is drawn."""
OTHER = "other"


@dataclass(frozen=True)
class Line:
    """One line of a profile.

    Attributes:
        of: whose time it is. Workers' seconds add up over all of them.
        step: "train", "latency", ... (the metrics `seconds.<step>`), "other" for what no step measures; or a phase.
        seconds: wall time.
        share: of all the time of the same kind, from 0 to 1.
    """

    of: Literal["workers", "driver"]
    step: str
    seconds: float
    share: float


def profile(rows: Sequence[Row], phases: Mapping[str, float]) -> list[Line]:
    """Workers' steps, longest first, then the driver's phases in their order.

    Args:
        rows: finished work; what was there already took no time of this sweep.
        phases: {phase: seconds}, from `Phases`.
    """
    steps: dict[str, float] = {}
    for result in (row.result for row in rows if not row.cached):
        measured = sum(seconds for step, seconds in result.spans.items() if step != "wait")
        for step, seconds in {**result.spans, OTHER: max(0.0, result.seconds - measured)}.items():
            steps[step] = steps.get(step, 0.0) + seconds
    ordered = dict(sorted(steps.items(), key=lambda item: -item[1]))
    return [*_lines("workers", ordered), *_lines("driver", phases)]


def sentence(lines: Sequence[Line], most: int = 4) -> str:
    """The profile in a line: "start 12 s, work 23 s, ...; trials spent 37 % on latency, ..."; "" without any time."""
    phases = ", ".join(f"{line.step} {line.seconds:.1f} s" for line in lines if line.of == "driver")
    steps = [f"{line.step} {100 * line.share:.0f} %" for line in lines if line.of == "workers"][:most]
    return f"time: {phases}" + (f"; of the workers' time {', '.join(steps)}" if steps else "")


def _lines(of: Literal["workers", "driver"], seconds: Mapping[str, float]) -> list[Line]:
    whole = sum(seconds.values()) or 1.0
    return [Line(of, step, spent, spent / whole) for step, spent in seconds.items()]


@dataclass
class Phases:
    """A `sweeps.engine.events.Listener` that times the phases of a sweep; the first begins when it is made.

    Work begins when a worker takes the first piece of it, and ends with the last piece.
    """

    _entered: dict[Phase, float] = field(default_factory=lambda: {"start": time.monotonic()})
    _last: float | None = None

    def enter(self, phase: Phase) -> None:
        """The next phase begins."""
        self._entered.setdefault(phase, time.monotonic())

    def stopped(self) -> None:
        """Ray has ended; it began to when the last piece of work was done."""
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
        """Not of interest here."""

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        """This may have been the last piece."""
        if not cached:
            self._last = time.monotonic()

    def failed(self, failure: Failure) -> None:
        """This may have been the last piece."""
        self._last = time.monotonic()
