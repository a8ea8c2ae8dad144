"""Several machines on one: each a set of Linux namespaces (network, processes, mounts, names) on a bridge of their own.

A host has its own IP address, process ids, /dev/shm and /tmp/ray. Its other files are those of this machine, as if all
hosts had one image and one shared folder. It can be powered off, unplugged and booted again.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import psutil
import pytest

from tests.helpers.drivers import wait_for

TOOLS = ("unshare", "nsenter", "ip", "tini")
BOOT_S = 30.0
_INIT = (
    "hostname {name}; mount -t tmpfs tmpfs /dev/shm; mkdir -p /tmp/ray; mount -t tmpfs tmpfs /tmp/ray; "
    "exec tini -s sleep infinity"
)


def require_hosts() -> None:
    """Skip the test where machines cannot be made."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"hosts are made by root, with {', '.join(missing or TOOLS)}")


class Network:
    """A bridge that hosts and this machine are connected to. Leaving the `with` powers all of them off.

    Attributes:
        address: this machine's IP address on it.
        hosts: the machines, booted.
    """

    def __init__(self, n_hosts: int) -> None:
        self._bridge = f"ps{os.getpid()}"
        self._prefix = f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
        self.address = f"{self._prefix}.254"
        self.hosts = [Host(self, number) for number in range(1, n_hosts + 1)]

    def __enter__(self) -> "Network":
        with ExitStack() as made:  # removes what was made, if something cannot be made
            _run("ip", "link", "add", self._bridge, "type", "bridge")
            made.callback(_run, "ip", "link", "del", self._bridge)
            _run("ip", "addr", "add", f"{self.address}/24", "dev", self._bridge)
            _run("ip", "link", "set", self._bridge, "up")
            for host in self.hosts:
                made.callback(host.power_off)
                host.boot()
            self._made = made.pop_all()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._made.close()

    def address_of(self, number: int) -> str:
        return f"{self._prefix}.{number}"

    def plug_in(self, number: int, process: int) -> str:
        """Connect the network namespace of a process; gives the name of this end of the cable."""
        ours, theirs = f"{self._bridge}.{number}", f"{self._bridge}-{number}"
        _run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
        _run("ip", "link", "set", ours, "master", self._bridge, "up")
        _run("ip", "link", "set", theirs, "netns", str(process), "name", "eth0")
        return ours


class Host:
    """One machine.

    Attributes:
        name, ip: as the others know it.
    """

    def __init__(self, network: Network, number: int) -> None:
        self.name = f"host{number}"
        self.ip = network.address_of(number)
        self._network = network
        self._number = number
        self._unshare: subprocess.Popen | None = None
        self._init = 0
        self._cable = ""

    def boot(self) -> None:
        """Switch it on; its disks are as they were, its memory is empty."""
        namespaces = ("--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")
        script = _INIT.format(name=self.name)
        self._unshare = subprocess.Popen(
            ["unshare", *namespaces, "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        unshare = psutil.Process(self._unshare.pid)
        wait_for(lambda: [p.name() for p in unshare.children()] == ["tini"], f"the start of {self.name}", BOOT_S)
        self._init = unshare.children()[0].pid
        self._cable = self._network.plug_in(self._number, self._init)
        for command in ("ip link set lo up", f"ip addr add {self.ip}/24 dev eth0", "ip link set eth0 up"):
            self.run(*command.split())

    def power_off(self) -> None:
        """Cut the power: its processes do not shut down, and no other machine is told."""
        if self._unshare is not None:
            os.kill(self._init or self._unshare.pid, signal.SIGKILL)
            self._unshare.wait(BOOT_S)
            self._unshare, self._init = None, 0
            # The kernel removes network namespaces with a delay, and the next host has a cable of this name.
            subprocess.run(["ip", "link", "del", self._cable], capture_output=True, check=False)

    def unplug(self) -> None:
        """Cut its network cable."""
        _run("ip", "link", "set", self._cable, "down")

    def plug(self) -> None:
        _run("ip", "link", "set", self._cable, "up")

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """What the command prints. Raises CalledProcessError."""
        done = subprocess.run(self._inside(command), env=_with(environment), capture_output=True, text=True, check=True)
        return done.stdout

    def start(self, *command: str, log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
        """Start something on it that runs until it is switched off; what that prints is added to `log`."""
        with log.open("ab") as file:
            return subprocess.Popen(
                self._inside(command), env=_with(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip

    def _inside(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", "-t", str(self._init), "-m", "-p", "-n", "-i", "-u", "--wd=/", "--", *command]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _with(environment: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(environment or {})}
