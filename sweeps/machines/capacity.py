"""What a trial asks for, what machines offer, and how much of it fits at once. Neither Ray nor a cluster is asked."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from prune_core.errors import UserError
from sweeps.config.settings import ComputeSettings

MIB = 1024**2
MIN_OBJECT_STORE = 256 * MIB
"""Shared memory of a Ray started here."""

# Ray counts resources in ten-thousandths.
_SMALLEST = 1e-4

# In Ray, a GPU's type is a resource of its own, of which a machine has one; work asks for a small part of it.
_TYPE = "accelerator_type:"
_A_LITTLE = 0.001


@dataclass(frozen=True)
class Request:
    """What one piece of work asks for.

    Attributes:
        cpus, gpus: processors and GPUs; fractions share one.
        memory_mb: memory reserved on the machine, or None.
        gpu_type: as Ray calls it, e.g. "A100"; None: any.
    """

    cpus: float
    gpus: float
    memory_mb: int | None
    gpu_type: str | None = None

    @classmethod
    def of(cls, compute: ComputeSettings) -> "Request":
        """What the settings say."""
        return cls(
            float(compute.cpus_per_trial),
            float(compute.gpus_per_trial),
            compute.memory_mb_per_trial,
            compute.accelerator_type,
        )

    @property
    def threads(self) -> int:
        """How many threads the work may use."""
        return max(1, math.ceil(self.cpus))

    def bundle(self) -> dict[str, float]:
        """The same as a dictionary of Ray's resources."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": float((self.memory_mb or 0) * MIB)}
        if self.gpu_type is not None:
            wanted[_TYPE + self.gpu_type] = _A_LITTLE
        return {name: amount for name, amount in wanted.items() if amount > 0}


@dataclass(frozen=True)
class Node:
    """What one machine offers; memory in bytes."""

    cpus: float
    gpus: float
    memory: float
    gpu_types: frozenset[str] = frozenset()

    @classmethod
    def of(cls, resources: Mapping[str, float]) -> "Node":
        """From a dictionary of Ray's resources."""
        types = frozenset(name.removeprefix(_TYPE) for name in resources if name.startswith(_TYPE))
        return cls(resources.get("CPU", 0), resources.get("GPU", 0), resources.get("memory", 0), types)

    def holds(self, request: Request) -> int:
        """How many such requests fit on it at once."""
        if request.gpu_type is not None and request.gpu_type not in self.gpu_types:
            return 0
        pairs = [(self.cpus, request.cpus), (self.gpus, request.gpus), (self.memory, (request.memory_mb or 0) * MIB)]
        # A GPU cannot be put together from pieces of several: 0.4 fits twice on each, not five times on two.
        fits = [_times(have, want) for have, want in pairs if want > 0]
        if 0 < request.gpus < 1:
            fits.append(int(self.gpus) * _times(1, request.gpus))
        return min(fits, default=0)


@dataclass(frozen=True)
class Room:
    """How much fits at once.

    Attributes:
        slots: pieces of work.
        machines: number of machines that hold any of them.
        idle_cpus, cpus, idle_gpus, gpus: those of all machines, and how many of them are left over.
        addresses: IP addresses of all machines of a cluster; () for this machine alone.
    """

    slots: int
    machines: int
    idle_cpus: float
    cpus: float
    idle_gpus: float
    gpus: float
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        idle = [
            f"{left:g} of {total:g} {what}"
            for left, total, what in ((self.idle_gpus, self.gpus, "GPUs"), (self.idle_cpus, self.cpus, "CPUs"))
            if left >= 1
        ]
        return (
            f"up to {self.slots} at once"
            + (f" on {self.machines} machines" if self.machines > 1 else "")
            + (f" ({', '.join(idle)} idle)" if idle else "")
        )


def room_for(request: Request, nodes: Sequence[Node], where: str, most: int | None = None) -> Room:
    """How many pieces of work fit at once on the nodes, and what of the nodes they leave idle.

    Args:
        request: what one piece asks for.
        nodes: what there is.
        where: the name of all nodes together, for messages.
        most: limit of how many run at once, even if more fit.

    Raises:
        UserError: no node can hold even one; names the key, what is asked and what there is.
    """
    held = [node.holds(request) for node in nodes]
    if not any(held):
        raise _refusal(request, nodes, where)
    slots = min(sum(held), most or sum(held))
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    machines = min(sum(map(bool, held)), slots)
    return Room(slots, machines, cpus - slots * request.cpus, cpus, gpus - slots * request.gpus, gpus)


def _refusal(request: Request, nodes: Sequence[Node], where: str) -> UserError:
    types = sorted(frozenset().union(*(node.gpu_types for node in nodes)))
    if request.gpu_type is not None and request.gpu_type not in types:
        return UserError(
            f"compute.accelerator_type={request.gpu_type} is in no machine of {where}: "
            + (f"it has {', '.join(types)}" if types else "none of them tells Ray what GPUs it has, leave it out")
        )
    for key, asked, offers in [
        ("compute.gpus_per_trial", request.gpus, [node.gpus for node in nodes]),
        ("compute.cpus_per_trial", request.cpus, [node.cpus for node in nodes]),
        ("compute.memory_mb_per_trial", request.memory_mb or 0, [node.memory // MIB for node in nodes]),
    ]:
        most = max(offers, default=0)
        if asked > most:
            any_machine = "any machine of " if len(nodes) > 1 else ""
            return UserError(f"{key}={asked:.12g} is more than {any_machine}{where} has ({most:.12g}): ask for less")
    return UserError(
        f"no machine of {where} has {_spell(request)} together: lower compute.cpus_per_trial, gpus_per_trial or "
        "memory_mb_per_trial"
    )


def local_node(compute: ComputeSettings) -> Node:
    """What a Ray started on this machine offers: what the settings say, else what is there."""
    cpus = compute.num_cpus if compute.num_cpus is not None else len(os.sched_getaffinity(0))
    gpus = compute.num_gpus if compute.num_gpus is not None else physical_gpus()
    return Node(cpus, gpus, memory_limit() - MIN_OBJECT_STORE)


def physical_gpus() -> int:
    """NVIDIA GPUs that this process may see."""
    present = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or visible == "all":
        return len(present)
    named = [name.strip() for name in visible.split(",")]
    usable = named[: named.index("-1")] if "-1" in named else named
    return min(len(present), len([name for name in usable if name and name != "NoDevFiles"]))


def memory_limit() -> int:
    """Bytes of memory of this machine, or of its container where that is less."""
    limits = [psutil.virtual_memory().total]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return min(limits)


def _times(have: float, want: float) -> int:
    return math.floor(have / max(want, _SMALLEST) + 1e-9)


def _spell(request: Request) -> str:
    kind = f" of type {request.gpu_type}" if request.gpu_type else ""
    parts = [f"{request.cpus:g} CPUs", f"{request.gpus:g} GPUs{kind}"]
    return ", ".join(parts + ([f"{request.memory_mb} MiB of memory"] if request.memory_mb else []))
