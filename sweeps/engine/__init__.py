"""A plan executed on Ray Tune."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.engine.events import Outcome as Outcome
    from sweeps.engine.execution import run_plan as run_plan
    from sweeps.engine.ray_session import room as room

_HOMES = {
    "Outcome": "events",
    "room": "ray_session",
    "run_plan": "execution",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
