"""Where the time of a sweep went: that of its workers by step, that of the driver by phase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.reporting.results import Row

OTHER = "other"


@dataclass(frozen=True)
class Line:
    """One line of a profile.

    Attributes:
        of: whose time it is. Workers' seconds add up over all of them.
        step: "train", "latency", ... (the metrics `seconds.<step>`), "other" for time outside all steps; or a phase.
        seconds: wall time.
        share: of all the time of the same kind, from 0 to 1.
    """

    of: Literal["workers", "driver"]
    step: str
    seconds: float
    share: float


def profile_of(rows: Sequence[Row], phases: Mapping[str, float]) -> list[Line]:
    """Workers' steps, longest first, then the driver's phases in their order.

    Args:
        rows: finished work; cached work took no time of this sweep.
        phases: {phase: seconds}, from `sweeps.engine.Phases`.
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
