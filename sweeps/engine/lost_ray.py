"""A Ray that has died, and how this process deals with the rest of it."""

import atexit
from typing import Any

from sweeps.process import GO_ON

_left = False


class RayLost(Exception):
    """Ray itself has died: ask it for nothing more, and do not shut it down."""

    def __init__(self, message: str = f"Ray is lost: {GO_ON}") -> None:
        super().__init__(message)


def leave(ray: Any) -> None:
    """Ask a lost Ray for nothing more, not even when Python ends."""
    global _left
    _left = True
    atexit.unregister(ray.shutdown)


def ray_was_left() -> bool:
    """Whether a lost Ray is still in this process. If so, only `os._exit` ends the process in time."""
    return _left
