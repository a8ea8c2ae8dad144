"""From settings to an explicit plan of content-keyed work, and how long it may take."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.plan.estimate import guessed_seconds as guessed_seconds
    from sweeps.plan.make import make_plan as make_plan
    from sweeps.plan.make import trial_of as trial_of
    from sweeps.plan.points import in_range as in_range

_HOMES = {
    "guessed_seconds": "estimate",
    "in_range": "points",
    "make_plan": "make",
    "trial_of": "make",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
