"""Notices that Ray itself has died, not one of its workers: what is asked of it then never comes back.

Ray's head (gcs_server) and the raylet of this node are processes like others. Without its raylet, Ray's C++ code ends
this process on the spot when it next meets the object store, and without the head after a minute of silence. So both
are watched, whoever waits for Ray waits in a thread of its own, and the main thread ends the sweep in order.
"""

import ctypes
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from sweeps.process import GO_ON

log = logging.getLogger(__name__)
PATIENCE_S = 10.0
"""From the loss to the end of the process, where the main thread waits for Ray itself and does not come back."""
_LOOK_EVERY_S = 0.5
_THROW_EVERY_S = 2.0
_HUNG_UP = select.POLLHUP | getattr(select, "POLLRDHUP", 0)  # the latter on Linux
# Ray ends this process after a minute without the cluster's head; one that restarts is back before.
_HEAD_MAY_BE_AWAY_S = 50.0
_ROLES = {"gcs_server": "head (gcs_server)", "raylet": "raylet"}
# What the raylet cannot live without: the names of their files, and those that they give themselves.
_AGENTS = ("dashboard/agent.py", "runtime_env/agent/main.py", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


class RayLost(Exception):
    """Ray itself has died: ask it for nothing more, and do not shut it down."""

    def __init__(self, message: str = f"Ray is lost: {GO_ON}") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class _Watched:
    """A process of Ray's.

    Attributes:
        name: of the part of Ray that ends with it.
        process: the process; None: it had gone when it was looked for.
        status: what is known of how it ended.
    """

    name: str
    process: psutil.Process | None
    status: Callable[[], str]

    @property
    def is_alive(self) -> bool:
        if self.process is None:
            return False
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class RayWatch:
    """While entered, the processes of Ray that this one cannot do without are watched.

    Leaving it raises RayLost if Ray was lost meanwhile. If the block is not left in time, the process is ended.

    Args:
        node: gives Ray's own object for this node, None as long as there is none.
        last_resort: called before the process is ended.
        starting: whether Ray is being started: the thread that enters is then thrown out of where it waits, if it can
            be, and Ray is not connected to anything that would have to be left alone.
    """

    def __init__(self, node: Callable[[], Any], last_resort: Callable[[], object], starting: bool = False) -> None:
        self._node = node
        self._last_resort = last_resort
        self._starting = starting
        self._lost: Future[Any] = Future()  # of a sentence
        self._looking = threading.RLock()
        self._watched: list[_Watched] = []
        self._head: _Head | None = None
        self._store: _Connections | None = None
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
        """Watch no longer. Called again, it does nothing."""
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
        """What is raised in a function that Python calls by itself is printed, but for what is raised from here."""
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
        """Call what may wait for Ray for ever, and leave it alone as soon as Ray is lost.

        Raises:
            RayLost: that is so.
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
            heard_of: list[_Watched] = []
            while not self.is_lost():
                if self._watched != heard_of:
                    heard_of = self._watched
                    for watched in heard_of:
                        _hear_of(watched, ends, until_left)
                    if self._store:
                        self._store.hear_of_end(ends)
                if self._left in dict(ends.poll(1000 * _LOOK_EVERY_S)):
                    return
            if not self._is_left_in_time():
                self._end_process()

    def _is_left_in_time(self) -> bool:
        """Whether the block is left. Where Ray is being started, what waits there is interrupted, if that is possible.

        More than once: a function that Python calls by itself, after an import for instance, keeps what is raised.
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
            self._watched = [*self._watched, *_new_children(self._watched)]
        elif not self._store and (node := self._node()):
            self._watched = list(_processes(node))
            self._head = None if node.is_head() else _Head(node.gcs_address)
            self._store = _Connections(node.plasma_store_socket_name)
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
            # What the main thread does with its streams is not known: it may hold their locks.
            os.write(2, f"error: {self._lost.result()}\n".encode())
            os._exit(1)


def _hear_of(watched: _Watched, ends: Any, until_left: ExitStack) -> None:
    """On Linux the end of a process is heard of at once; elsewhere it is looked for now and then."""
    if sys.platform == "linux" and watched.process is not None:
        with suppress(OSError):
            descriptor = os.pidfd_open(watched.process.pid)
            until_left.callback(os.close, descriptor)
            ends.register(descriptor, select.POLLIN)


def _throw(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread as soon as it runs Python code again; None: not any more."""
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception(ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error))


class _Head:
    """The head of a cluster, on whatever machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._seen = self._asked = time.monotonic()
        self._is_away = False

    def seconds_away(self) -> float:
        """For how long it has not answered."""
        if time.monotonic() - self._asked > 4 * _LOOK_EVERY_S:
            self._asked = time.monotonic()
            self._ask()
        return self._asked - self._seen

    def _ask(self) -> None:
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
        except OSError as error:
            if not self._is_away:
                log.warning("the head of the cluster at %s does not answer (%s): it is waited for", self.address, error)
            self._is_away = True
            return
        if self._is_away:
            log.warning("the head of the cluster at %s answers again", self.address)
        self._seen, self._is_away = self._asked, False


class _Connections:
    """This process's connections to a socket."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._descriptors = [number for number in _descriptors() if _peer(number) == name]
        self._nobody = socket.socketpair()

    def hear_of_end(self, ends: "select.poll") -> None:
        """Have `ends` wake up as soon as the other end is closed."""
        for number in self._descriptors:
            ends.register(number, _HUNG_UP)

    def are_broken(self) -> bool:
        """Whether the other end has closed one of them."""
        ends = select.poll()
        self.hear_of_end(ends)
        broken = [number for number, events in ends.poll(0) if events & _HUNG_UP]
        return any(_peer(number) == self._name for number in broken)

    def hold(self) -> None:
        """Whoever asks there from now on waits for ever.

        A connection that breaks would make Ray's C++ code end this process, within 0.1 s of the raylet's orderly end.
        """
        for number in self._descriptors:
            if _peer(number) == self._name:
                os.dup2(self._nobody[0].fileno(), number, inheritable=False)


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # not Linux
        return []


def _peer(descriptor: int) -> str | None:
    """The name of the socket that a descriptor is connected to, if it is."""
    try:
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
            return None
        with closing(socket.socket(fileno=os.dup(descriptor))) as ours:
            peer = ours.getpeername()
    except OSError:
        return None
    return peer if isinstance(peer, str) else None


def _new_children(known: list[_Watched]) -> list[_Watched]:
    """Those that Ray has started from this process before there is an object that tells them."""
    seen = {watched.process for watched in known}
    found = []
    for child in set(psutil.Process().children()) - seen:
        with suppress(psutil.Error):
            watched = _Watched(_ROLES.get(child.name(), ""), child, str)
            found += [watched] if watched.name and watched.is_alive else []
    return found


def _processes(node: Any) -> Iterator[_Watched]:
    """The head, if it was started by this process, the raylet, and what the raylet ends with."""
    raylets = []
    for name, role in _ROLES.items():
        for info in node.all_processes.get(name, ()):
            process = None
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(info.process.pid)
                raylets += [process] if name == "raylet" else []
            yield _Watched(role, process, partial(_status, info.process))
    if not node.all_processes:  # those of a Ray that somebody else has started
        argument = f"--raylet_socket_name={node.raylet_socket_name}"
        raylets = [process for process in psutil.process_iter() if argument in _command(process)]
        yield from (_Watched("raylet", process, str) for process in raylets)
    for raylet in raylets:
        with suppress(psutil.Error):
            for child in raylet.children():
                if any(name in " ".join(_command(child)) for name in _AGENTS):
                    yield _Watched("raylet", child, lambda: " with one of its agents")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _status(child: "subprocess.Popen[bytes]") -> str:
    code = child.poll()
    if code is None:
        return ""
    try:
        return f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"
    except ValueError:
        return f" (signal {-code})"
