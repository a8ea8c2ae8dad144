"""The processes of Ray that this process needs."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

_ROLES = {"gcs_server": "head (gcs_server)", "raylet": "raylet"}
# Processes without which the raylet ends: the names of their files, and the names that they give themselves.
_AGENTS = ("dashboard/agent.py", "runtime_env/agent/main.py", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


@dataclass(frozen=True)
class Watched:
    """A process of Ray.

    Attributes:
        name: of the part of Ray that ends with it.
        process: the process; None: it had already ended when it was looked for.
        status: gives what is known about its end, or "".
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

    def hear_of_end(self, ends: Any, until_left: ExitStack) -> None:
        """On Linux, have `ends` wake up as soon as the process ends; on other systems this does nothing."""
        if sys.platform == "linux" and self.process is not None:
            with suppress(OSError):
                descriptor = os.pidfd_open(self.process.pid)
                until_left.callback(os.close, descriptor)
                ends.register(descriptor, select.POLLIN)


def new_children(known: list[Watched]) -> list[Watched]:
    """The processes that Ray has started from this process before its own object for the node lists them."""
    seen = {watched.process for watched in known}
    found = []
    for child in set(psutil.Process().children()) - seen:
        with suppress(psutil.Error):
            watched = Watched(_ROLES.get(child.name(), ""), child, str)
            found += [watched] if watched.name and watched.is_alive else []
    return found


def processes_of(node: Any) -> Iterator[Watched]:
    """The head if this process started it, the raylet, and the processes without which the raylet ends."""
    raylets = []
    for name, role in _ROLES.items():
        for info in node.all_processes.get(name, ()):
            process = None
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(info.process.pid)
                raylets += [process] if name == "raylet" else []
            yield Watched(role, process, partial(_status, info.process))
    if not node.all_processes:  # those of a Ray that somebody else has started
        argument = f"--raylet_socket_name={node.raylet_socket_name}"
        raylets = [process for process in psutil.process_iter() if argument in _command(process)]
        yield from (Watched("raylet", process, str) for process in raylets)
    for raylet in raylets:
        with suppress(psutil.Error):
            for child in raylet.children():
                if any(name in " ".join(_command(child)) for name in _AGENTS):
                    yield Watched("raylet", child, lambda: " with one of its agents")


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
