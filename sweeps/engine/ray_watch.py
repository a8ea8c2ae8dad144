"""Notices that Ray itself, not one of its workers, has died: calls of Ray then never return.

Ray's head (gcs_server) and the raylet of this node are ordinary processes. Without the raylet, Ray's C++ code ends this
process at its next access to the object store. Without the head, it does so after a minute. So both are watched, calls
that wait for Ray run in a thread of their own, and the main thread ends the sweep in order.
"""

import ctypes
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from typing import Any

from sweeps.engine.lost_ray import RayLost
from sweeps.engine.watched_connections import Connections, Head
from sweeps.engine.watched_processes import Watched, new_children, processes_of
from sweeps.process import GO_ON

PATIENCE_S = 10.0
"""Time from the loss to the end of the process, if the main thread itself waits for Ray and does not return."""
_LOOK_EVERY_S = 0.5
_THROW_EVERY_S = 2.0
# Ray ends this process after a minute without the cluster's head; a head that restarts is back earlier.
_HEAD_MAY_BE_AWAY_S = 50.0


class RayWatch:
    """While entered, the processes of Ray that this process needs are watched.

    Leaving it raises RayLost if Ray was lost meanwhile. If the block is not left in time, the process is ended.

    Args:
        node: gives Ray's own object for this node, None as long as there is none.
        last_resort: called before the process is ended.
        starting: whether Ray is being started. If Ray is lost then, the thread that enters is interrupted by an
            exception where that is possible, and connections to Ray are not held open.
    """

    def __init__(self, node: Callable[[], Any], last_resort: Callable[[], object], starting: bool = False) -> None:
        self._node = node
        self._last_resort = last_resort
        self._starting = starting
        self._lost: Future[Any] = Future()  # its result is a sentence
        self._looking = threading.RLock()
        self._watched: list[Watched] = []
        self._head: Head | None = None
        self._store: Connections | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "RayWatch":
        self._entered_by = threading.get_ident()
        self._tell_unraisable = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        self._left, self._leave = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="ray watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        is_lost = self._thread is not None and self.is_lost()
        self.end()
        if is_lost:
            raise RayLost(self._lost.result()) from error

    def end(self) -> None:
        """Stop watching. A second call does nothing."""
        if self._thread is not None:
            os.write(self._leave, b"x")
            self._thread.join()
            self._thread = None
            os.close(self._left)
            os.close(self._leave)
            sys.unraisablehook = self._tell_unraisable
            if self._starting:
                _throw(self._entered_by, None)

    def _unraisable(self, error: Any) -> None:
        """Print an exception of a function that Python itself calls, unless it was raised from here."""
        if error.exc_type is not RayLost:
            self._tell_unraisable(error)

    def is_lost(self) -> bool:
        """Whether Ray has died, asked now."""
        with self._looking:
            if not self._lost.done() and (why := self._what_is_lost()):
                if self._store and not self._starting:
                    self._store.hold()
                self._lost.set_result(why)
        return self._lost.done()

    def call(self, function: Callable[[], None]) -> None:
        """Call a function that may wait for Ray for ever; stop waiting for it as soon as Ray is lost.

        Raises:
            RayLost: Ray is lost.
            Exception: the function's own.
        """
        ended: Future[Any] = Future()

        def run() -> None:
            try:
                function()
                ended.set_result(None)
            except BaseException as error:
                ended.set_exception(error)

        threading.Thread(target=run, name="ray tune", daemon=True).start()
        wait([ended, self._lost], return_when=FIRST_COMPLETED)
        if not ended.done() or (ended.exception() and self.is_lost()):
            raise RayLost(self._lost.result())
        ended.result()

    def _watch(self) -> None:
        with ExitStack() as until_left:
            ends = select.poll()
            ends.register(self._left, select.POLLIN)
            heard_of: list[Watched] = []
            while not self.is_lost():
                if self._watched != heard_of:
                    heard_of = self._watched
                    for watched in heard_of:
                        watched.hear_of_end(ends, until_left)
                    if self._store:
                        self._store.hear_of_end(ends)
                if self._left in dict(ends.poll(1000 * _LOOK_EVERY_S)):
                    return
            if not self._is_left_in_time():
                self._end_process()

    def _is_left_in_time(self) -> bool:
        """Whether the block is left in time. While Ray is being started, the thread inside is interrupted if possible.

        This is done more than once: a function that Python itself calls, for instance after an import, swallows it.
        """
        deadline = time.monotonic() + PATIENCE_S
        while (left_s := deadline - time.monotonic()) > 0:
            if self._starting:
                _throw(self._entered_by, RayLost)
            if select.select([self._left], [], [], min(left_s, _THROW_EVERY_S))[0]:
                return True
        return False

    def _what_is_lost(self) -> str:
        if self._starting and not self._node():
            self._watched = [*self._watched, *new_children(self._watched)]
        elif not self._store and (node := self._node()):
            self._watched = list(processes_of(node))
            self._head = None if node.is_head() else Head(node.gcs_address)
            self._store = Connections(node.plasma_store_socket_name)
        for watched in self._watched:
            if not watched.is_alive:
                return f"Ray is lost, its {watched.name} has died{watched.status()}: {GO_ON}"
        if self._store and not self._starting and self._store.are_broken():
            return f"Ray is lost, its raylet has died: {GO_ON}"  # or is about to
        if self._head and self._head.seconds_away() > _HEAD_MAY_BE_AWAY_S:
            return f"Ray is lost, the head of the cluster at {self._head.address} does not come back: {GO_ON}"
        return ""

    def _end_process(self) -> None:
        try:
            self._last_resort()
        finally:
            # The Python streams are not used here: the main thread may hold their locks.
            os.write(2, f"error: {self._lost.result()}\n".encode())
            os._exit(1)


def _throw(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread as soon as it runs Python code again; None: do not raise it any more."""
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception(ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error))
