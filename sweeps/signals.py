"""SIGINT and SIGTERM as something to look at, instead of something that happens anywhere."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A group-wide signal also ends the local Ray, and what waits for Ray's answer then waits for a minute or more.
PATIENCE_S = 15.0


class Terminated(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT."""


@contextmanager
def terminable() -> Iterator[None]:
    """While entered, SIGTERM raises `Terminated` wherever the main thread is; no effect in another thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Signals:
    """While entered: the first signal is noted in `caught`, a second one ends the process at once.

    So does the first one if the block is not left within `PATIENCE_S` after it. Results in the store stay there.
    Outside of the main thread, where Python cannot catch signals, it catches none.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, Any] = {}
        self._patience: threading.Timer | None = None

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _SIGNALS}
            self.catch()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._patience is not None:
            self._patience.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def catch(self) -> None:
        """Put the handlers in, again after a library has put in its own."""
        for number in self._before:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.caught = number
        self._patience = threading.Timer(PATIENCE_S, _give_up, (number,))
        self._patience.daemon = True
        self._patience.start()


def _raise_terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _give_up(number: int) -> None:
    print("Ray does not answer: ended without it; run the same command again to go on", file=sys.stderr, flush=True)
    os._exit(128 + number)
