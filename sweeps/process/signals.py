"""SIGINT and SIGTERM: an orderly end if possible, an end in every case."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

GO_ON = "run the same command again to go on: what is finished is kept"
PATIENCE_S = 15.0
"""Longest time from the first signal to the end of the process."""
_SAME_S = 1.0  # `timeout` and terminals send a signal to the process and to its group
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEFT, _TOO_LATE = 0, -1  # beside the numbers of signals


class Terminated(BaseException):
    """Stands for SIGTERM, as KeyboardInterrupt stands for SIGINT."""


class Signals:
    """While entered, the first signal raises KeyboardInterrupt or `Terminated` in the main thread, or is only `noted`.

    Libraries swallow such exceptions, install their own handlers, and wait in C, where nothing is raised. So a thread
    is told of every signal as well. If the block is not left in time, or if a second signal comes, the thread ends the
    process with exit code 130 or 143. Outside of the main thread, where Python cannot catch signals, nothing is caught.

    Attributes:
        caught: number of the first signal, 0 if there was none.
        patience_s: what "in time" means, in seconds; None: there is no limit.
        last_resort: called before the process is ended by the thread.
    """

    def __init__(self) -> None:
        self.caught = 0
        self.patience_s: float | None = PATIENCE_S
        self.last_resort: Callable[[], object] = lambda: None
        self._only_noted = False
        self._handled = False
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._hearing, self._told = os.pipe()
            os.set_blocking(self._told, False)
            self._watcher = threading.Thread(target=self._watch, name="signals", daemon=True)
            self._watcher.start()
            self._wakeup_before = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
            self._before = handlers()
            self._catch()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before:
            put_in(self._before)
            signal.set_wakeup_fd(self._wakeup_before)
            os.write(self._told, bytes([_LEFT]))
            self._watcher.join()
            os.close(self._told)
            os.close(self._hearing)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """While entered, a signal raises nothing: the code inside looks at `caught`."""
        self._catch()
        self._only_noted = True
        try:
            if self.caught:  # and its exception was swallowed
                raise _exception(self.caught)
            yield
        finally:
            self._only_noted = False

    def _catch(self) -> None:
        """Install the handlers, again if a library has installed its own."""
        put_in(dict.fromkeys(self._before, self._handle))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._handled = self._handled, True
        self.caught = self.caught or number
        if not (again or self._only_noted):
            raise _exception(number)

    def _watch(self) -> None:
        first = 0.0
        while (number := self._hear(first)) != _LEFT:
            if number in _SIGNALS and not first:
                self.caught, first = self.caught or number, time.monotonic()
            elif number == _TOO_LATE or (number in _SIGNALS and time.monotonic() - first > _SAME_S):
                self._end()

    def _hear(self, first: float) -> int:
        """The number of the next signal, _LEFT, or _TOO_LATE when too much time has passed since the first one."""
        hurry = first and self.patience_s is not None
        timeout = max(0.0, first + (self.patience_s or 0.0) - time.monotonic()) if hurry else None
        heard, _, _ = select.select([self._hearing], [], [], timeout)
        return os.read(self._hearing, 1)[0] if heard else _TOO_LATE

    def _end(self) -> None:
        try:
            self.last_resort()
        finally:
            # The Python streams are not used here: the main thread may hold their locks.
            with suppress(OSError):  # the terminal may have gone
                os.write(2, f"interrupted, and ended before all was in order: {GO_ON}\n".encode())
            os._exit(128 + self.caught)


def handlers() -> dict[int, Any]:
    """{signal: the handler that Python knows for it now}."""
    return {number: signal.getsignal(number) for number in _SIGNALS}


def put_in(wanted: Mapping[int, Any]) -> None:
    """Install the handlers that `handlers` has given, also if C code has replaced them, which Python does not notice.

    Outside of the main thread, where Python cannot install handlers, this does nothing.
    """
    if threading.current_thread() is threading.main_thread():
        for number, handler in wanted.items():
            signal.signal(number, handler)


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated()
