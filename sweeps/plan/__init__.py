"""From settings to an explicit plan of content-keyed work, and how long it may take."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.plan.estimate import guessed_seconds as guessed_seconds
    from sweeps.plan.make import make_plan as make_plan
    from sweeps.plan.make import trial_of as trial_of
    from sweeps.plan.outlook import Missing as Missing
    from sweeps.plan.outlook import Outlook as Outlook
    from sweeps.plan.outlook import missing_of as missing_of
    from sweeps.plan.outlook import outlook_of as outlook_of
    from sweeps.plan.points import in_range as in_range

_HOMES = {
    "Missing": "outlook",
    "Outlook": "outlook",
    "guessed_seconds": "estimate",
    "in_range": "points",
    "make_plan": "make",
    "missing_of": "outlook",
    "outlook_of": "outlook",
    "trial_of": "make",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
