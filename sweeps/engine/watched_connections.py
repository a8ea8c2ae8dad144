"""Connections to Ray: to the head of a cluster, and to the raylet of this node."""

import logging
import os
import select
import socket
import time
from contextlib import closing

log = logging.getLogger(__name__)
_ASK_EVERY_S = 2.0
_HUNG_UP = select.POLLHUP | getattr(select, "POLLRDHUP", 0)  # the latter on Linux


class Head:
    """The head of a cluster, on any machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._seen = self._asked = time.monotonic()
        self._is_away = False

    def seconds_away(self) -> float:
        """For how many seconds it has not answered."""
        if time.monotonic() - self._asked > _ASK_EVERY_S:
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


class Connections:
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
        """Make every later request over these connections wait for ever.

        If a connection broke, Ray's C++ code would end this process, within 0.1 s of the raylet's orderly end.
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
    """The name of the socket that a descriptor is connected to; None if it is not connected to one."""
    try:
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
            return None
        with closing(socket.socket(fileno=os.dup(descriptor))) as ours:
            peer = ours.getpeername()
    except OSError:
        return None
    return peer if isinstance(peer, str) else None
