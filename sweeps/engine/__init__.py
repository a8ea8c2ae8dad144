"""A plan executed on Ray Tune."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.engine.events import Listener as Listener
    from sweeps.engine.events import Outcome as Outcome
    from sweeps.engine.execution import run_plan as run_plan
    from sweeps.engine.phases import Phases as Phases

_HOMES = {
    "Listener": "events",
    "Outcome": "events",
    "Phases": "phases",
    "run_plan": "execution",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
