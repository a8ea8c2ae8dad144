"""The process itself: its signals, streams, surroundings and memory."""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from sweeps.process.pinned import pin as pin
    from sweeps.process.signals import GO_ON as GO_ON
    from sweeps.process.signals import Signals as Signals
    from sweeps.process.signals import Terminated as Terminated
    from sweeps.process.surroundings import home as home
    from sweeps.process.surroundings import is_utf8 as is_utf8
    from sweeps.process.surroundings import is_writable as is_writable
    from sweeps.process.surroundings import own_folder as own_folder
    from sweeps.process.surroundings import require_current_folder as require_current_folder
    from sweeps.process.surroundings import temporary_folder as temporary_folder

_HOMES = {
    "GO_ON": "signals",
    "Signals": "signals",
    "Terminated": "signals",
    "home": "surroundings",
    "is_utf8": "surroundings",
    "is_writable": "surroundings",
    "own_folder": "surroundings",
    "pin": "pinned",
    "require_current_folder": "surroundings",
    "temporary_folder": "surroundings",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
