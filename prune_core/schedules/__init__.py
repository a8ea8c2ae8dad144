"""When a network is pruned, and in how many steps.

To add one, write a generator `(pruning: Pruning) -> Iterator[Progress]` in a file of this folder and name it below. It
selects, removes and recovers by the methods of `prune_core.pruning.Pruning`, and yields after each step. Other packages
add theirs through the entry-point group "prune_core.schedules", which points at a `Schedule`.
"""

from collections.abc import Mapping
from typing import Any

from prune_core.axes import SCHEDULES, Schedule
from prune_core.entries import Parameter

__all__ = ["CURVES", "SCHEDULES", "Schedule"]

CURVES = ("cubic", "linear")
"""How the amount grows from step to step."""


def _steps(parameters: Mapping[str, Any]) -> int:
    return int(parameters["steps"])


for _schedule in (
    Schedule("one_shot", "prune_core.schedules.one_shot:one_shot"),
    Schedule(
        "iterative",
        "prune_core.schedules.iterative:iterative",
        parameters={
            "steps": Parameter("whole", low=1),
            "curve": Parameter("choice", choices=CURVES, default=CURVES[0]),
        },
        repeats=_steps,
    ),
    Schedule(
        "rvsm",
        "prune_core.schedules.rvsm:rvsm",
        parameters={
            "lambda": Parameter(low=0, open_high=True),
            "beta": Parameter(low=0, open_low=True, open_high=True),
        },
        trains=True,
        needs_labels=True,
        selects=False,
        amount="lambda",
    ),
):
    SCHEDULES.register(_schedule.name, _schedule)
