"""What a trial may ask of the machine or cluster, and how Ray is started or joined."""

import logging
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from prune_core.errors import UserError

if TYPE_CHECKING:  # workers need no configuration library
    from sweeps.schema import ComputeSettings

MIB = 1024**2
_MIN_OBJECT_STORE = 256 * MIB

# Ray counts resources in ten-thousandths.
_SMALLEST = 1e-4

# Ray Tune writes files, catches signals and prints traces that the service takes care of itself.
_DRIVER_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


@dataclass(frozen=True)
class Request:
    """What one piece of work asks for.

    Attributes:
        cpus, gpus: processors and GPUs; fractions share one.
        memory_mb: memory reserved on the node, or None.
    """

    cpus: float
    gpus: float
    memory_mb: int | None

    @classmethod
    def of(cls, compute: "ComputeSettings") -> "Request":
        """What the settings say."""
        return cls(float(compute.cpus_per_trial), float(compute.gpus_per_trial), compute.memory_mb_per_trial)

    @property
    def threads(self) -> int:
        """How many threads the work may use."""
        return max(1, math.ceil(self.cpus))

    def bundle(self) -> dict[str, float]:
        """The same in Ray's words."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": float((self.memory_mb or 0) * MIB)}
        return {name: amount for name, amount in wanted.items() if amount > 0}


@dataclass(frozen=True)
class Node:
    """What one machine offers; memory in bytes."""

    cpus: float
    gpus: float
    memory: float

    @classmethod
    def of(cls, resources: Mapping[str, float]) -> "Node":
        """From Ray's words."""
        return cls(resources.get("CPU", 0), resources.get("GPU", 0), resources.get("memory", 0))

    def holds(self, request: Request) -> int:
        """How many such requests fit on it at once."""
        pairs = [(self.cpus, request.cpus), (self.gpus, request.gpus), (self.memory, (request.memory_mb or 0) * MIB)]
        # A GPU cannot be put together from pieces of several: 0.4 fits twice on each, not five times on two.
        fits = [_times(have, want) for have, want in pairs if want > 0]
        if 0 < request.gpus < 1:
            fits.append(int(self.gpus) * _times(1, request.gpus))
        return min(fits, default=0)


def check_request(request: Request, nodes: list[Node], where: str) -> int:
    """How many pieces of work fit at once on the nodes.

    Raises:
        UserError: no node can hold even one; names the key, what is asked and what there is.
    """
    slots = sum(node.holds(request) for node in nodes)
    if slots:
        return slots
    for key, asked, available, fix in [
        ("compute.gpus_per_trial", request.gpus, max((n.gpus for n in nodes), default=0), "compute.num_gpus"),
        ("compute.cpus_per_trial", request.cpus, max((n.cpus for n in nodes), default=0), "compute.num_cpus"),
        (
            "compute.memory_mb_per_trial",
            request.memory_mb or 0,
            max((n.memory // MIB for n in nodes), default=0),
            "compute.memory_mb_per_trial",
        ),
    ]:
        if asked > available:
            raise UserError(
                f"{key}={asked:g} is more than {where} has ({available:g}): ask for less"
                + (f", or correct {fix}" if fix != key else "")
            )
    raise UserError(
        f"no node of {where} has {_spell(request)} together: lower compute.cpus_per_trial, gpus_per_trial or "
        "memory_mb_per_trial"
    )


def check_compute(compute: "ComputeSettings") -> None:
    """Refuse at once, without Ray, what this machine cannot run; a cluster to join is looked at by `connect`.

    Raises:
        UserError: a trial asks for more than there is, or the cluster's address does not answer.
    """
    if compute.address is None:
        check_request(Request.of(compute), [local_node(compute)], "this machine")
    else:
        _check_reachable(compute.address)


def local_node(compute: "ComputeSettings") -> Node:
    """What a Ray started on this machine offers: what the settings say, else what is there."""
    cpus = compute.num_cpus if compute.num_cpus is not None else len(os.sched_getaffinity(0))
    gpus = compute.num_gpus if compute.num_gpus is not None else physical_gpus()
    return Node(cpus, gpus, memory_limit() - _MIN_OBJECT_STORE)


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


def worker_environment(request: Request) -> dict[str, str]:
    """Environment of the workers: threads bounded before any library starts its own, TensorFlow quiet."""
    threads = str(request.threads)
    bounded = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        **dict.fromkeys((*bounded, "TF_NUM_INTRAOP_THREADS"), threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }


@contextmanager
def connected(compute: "ComputeSettings", data_bytes: int, folder: Path | None = None) -> Iterator[int]:
    """Start Ray on this machine or join a cluster; gives the number of pieces of work that fit at once.

    A Ray that this process is connected to already is used and left as it is. What is started here ends here.

    Args:
        compute: where to work.
        data_bytes: size of what will be put into shared memory.
        folder: of a Ray started here; None: Ray's own choice.

    Raises:
        UserError: no node has what a trial asks for, or the cluster does not let us in.
    """
    request = Request.of(compute)
    import ray  # sets its loggers up, which are then made quiet

    with _environment(_DRIVER_ENVIRONMENT), _quiet("ray", "ray.tune", "ray.data", "ray.train"), _silent_raylet():
        ours = not ray.is_initialized()
        if ours:
            if compute.address is None:
                _start(ray, request, local_node(compute), data_bytes, folder)
            else:
                _join(ray, request, compute.address)
        try:
            where = "this machine" if compute.address is None else f"the cluster at {compute.address}"
            nodes = [Node.of(node["Resources"]) for node in ray.nodes() if node["Alive"]]
            slots = check_request(request, nodes, where)
            yield min(slots, compute.max_concurrent or slots)
        finally:
            if ours:
                ray.shutdown()


def _start(ray: Any, request: Request, node: Node, data_bytes: int, folder: Path | None) -> None:
    from ray._private import ray_constants

    # Ray replaces 127.0.0.1 by the machine's own address, and then listens to the whole network, unless it believes
    # that this system has no clusters.
    several_machines, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        ray.init(
            address="local",
            num_cpus=node.cpus,
            num_gpus=node.gpus,
            _memory=int(node.memory),
            object_store_memory=max(_MIN_OBJECT_STORE, int(1.3 * data_bytes) + 64 * MIB),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder) if folder else None,
            **_common(request),
        )
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = several_machines


def _join(ray: Any, request: Request, address: str) -> None:
    _check_reachable(address)
    try:
        ray.init(address=address, **_common(request))
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"compute.address={address} cannot be joined ({reason}): correct it, or leave it out") from None


def _common(request: Request) -> dict[str, Any]:
    return {
        "log_to_driver": False,
        "configure_logging": False,
        "runtime_env": {"env_vars": worker_environment(request)},
    }


def _check_reachable(address: str) -> None:
    if address == "auto":
        return
    match = re.fullmatch(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", address)
    if match is None or int(match["port"]) > 65535:
        raise UserError(
            f"compute.address={address!r} must be auto or host:port, e.g. 10.0.0.1:6379, the head's GCS port"
        )
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=3).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"compute.address={address} does not answer ({reason}): start the cluster, or leave the address out"
        ) from None


def _times(have: float, want: float) -> int:
    return math.floor(have / max(want, _SMALLEST) + 1e-9)


def _spell(request: Request) -> str:
    parts = [f"{request.cpus:g} CPUs", f"{request.gpus:g} GPUs"]
    return ", ".join(parts + ([f"{request.memory_mb} MiB of memory"] if request.memory_mb else []))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _silent_raylet() -> Iterator[None]:
    """Keep Ray from printing a screenful for each lost worker: the sweep says it in a line."""
    from ray._private import worker

    before, worker._worker_logs_enabled = worker._worker_logs_enabled, False  # log_to_driver does not cover these
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
