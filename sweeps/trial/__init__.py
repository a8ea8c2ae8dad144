"""What a worker does for one piece of work, and what it writes."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.trial.summary import TrialSummary as TrialSummary
    from sweeps.trial.work import prepare as prepare
    from sweeps.trial.work import run as run

_HOMES = {
    "TrialSummary": "summary",
    "prepare": "work",
    "run": "work",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
