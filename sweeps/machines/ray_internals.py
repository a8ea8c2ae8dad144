"""Ray's private names: this is the only file that uses them.

Each function says what Ray's public names cannot do. A name is looked up when it is needed; if the installed Ray
does not have it, `RayChanged` says so in one sentence. Importing this file does not import Ray.
"""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prune_core.errors import UserError

TESTED = "2.60"
REQUIREMENT = "ray[default,tune]>=2.60,<2.61"
_NODE_PARTS = (
    "all_processes",
    "gcs_address",
    "get_logs_dir_path",
    "get_session_dir_path",
    "is_head",
    "kill_all_processes",
    "node_ip_address",
    "plasma_store_socket_name",
    "raylet_socket_name",
)
_ALIVE = 0  # ray.core.generated.gcs_pb2.GcsNodeInfo.ALIVE


class RayChanged(UserError):
    """The installed Ray lacks a private name that a sweep needs."""

    def __init__(self, name: str) -> None:
        import ray

        super().__init__(
            f"Ray {ray.__version__} is installed, which does not have {name}; sweeps are tested with Ray {TESTED}: "
            f"install '{REQUIREMENT}'"
        )


# A node, and the processes that make it up


def this_node() -> Any:
    """Ray's own object for this node, None as long as Ray is neither started nor joined.

    Only this object knows the processes, sockets and folders of this node: `ray.nodes()` and the state API know only
    what the head knows.
    """
    from ray._private import worker

    node = _found(worker, "_global_node")
    if node is not None:
        for part in _NODE_PARTS:
            _found(node, part)
    return node


def before_processes_end(node: Any, act: Callable[[], object]) -> None:
    """Call `act` each time just before Ray ends its processes: `ray.shutdown` has no hook there.

    Args:
        node: of `this_node`.
        act: must not raise.
    """
    end_processes = _found(node, "kill_all_processes")

    def act_and_end(**options: Any) -> None:
        act()
        end_processes(**options)

    node.kill_all_processes = act_and_end


@contextmanager
def on_this_machine_only() -> Iterator[None]:
    """While entered, a Ray that starts listens on 127.0.0.1 only, if it is told to.

    Ray replaces that address by the machine's own, and then listens to the whole network, unless it believes that this
    system has no clusters. The environment variable for that is read once, when Ray is imported.
    """
    from ray._private import ray_constants

    before = _found(ray_constants, "ENABLE_RAY_CLUSTER")
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def start_options(memory: int, folder: str | None, shared_memory: str | None) -> dict[str, Any]:
    """Arguments of `ray.init` for a Ray on 127.0.0.1, which its documentation calls private.

    Without them it takes all memory, an address of the network, and folders of its own choice.

    Args:
        memory: bytes that work may ask for.
        folder: of all of Ray's files; None: Ray's own choice.
        shared_memory: folder of the object store; None: Ray's own choice.
    """
    import ray

    options = {
        "_memory": memory,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": folder,
        "_plasma_directory": shared_memory,
    }
    known = inspect.unwrap(ray.init).__code__.co_consts
    for name in options:
        if name not in known:
            raise RayChanged(f"the argument {name} of ray.init")
    return options


@contextmanager
def silent_raylet(stays_silent: Callable[[], bool]) -> Iterator[None]:
    """While entered, Ray does not print many lines for each lost worker; `log_to_driver` does not cover them.

    Args:
        stays_silent: asked at the end: whether Ray must stay silent after that, too.
    """
    from ray._private import worker

    before = _found(worker, "_worker_logs_enabled")
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before and not stays_silent()


# Ray Tune


def actor_of(trial: Any) -> Any:
    """The handle of the worker that runs a trial of Tune: callbacks get the trial only."""
    return _found(trial, "temporary_state.ray_actor")


def controller_of(view: Any) -> Any:
    """Tune's controller behind the view of it that a scheduler gets."""
    return _found(view, "_tune_controller")


def keep_idle_workers(controller: Any, bundle: Any, count: int) -> None:
    """Let Tune keep `count` idle workers of the shape `bundle`. `reuse_actors` alone keeps one."""
    _found(controller, "_actor_cache.increase_max")(bundle, by=count)


def write_no_state(controller: Any) -> None:
    """Keep Tune from writing every trial to disk. Its settings can make this rarer, but cannot end it."""
    _found(controller, "checkpoint")

    def write_nothing(force: bool = False, wait: bool = False) -> None:
        """A sweep is resumed from its results, not from Tune's state."""

    controller.checkpoint = write_nothing


def translate_actor_errors(controller: Any, translate: Callable[[Exception], Exception]) -> None:
    """Put `translate` between an error of a worker and Tune, which ends the whole run on errors that it does not know.

    Args:
        controller: of `controller_of`.
        translate: gives the error that Tune is to see.
    """
    manager = _found(controller, "_actor_manager")
    take_in = _found(manager, "_actor_task_failed")

    def translated(tracked_actor_task: Any, exception: Exception) -> None:
        take_in(tracked_actor_task, translate(exception))

    manager._actor_task_failed = translated


# The head of a cluster


def limit_patience(seconds: int) -> None:
    """How long Ray tries to reach a head, if the environment does not say so; Ray has no argument for it."""
    os.environ.setdefault("RAY_py_gcs_connect_timeout_s", str(seconds))


def address_of_head(address: str) -> str:
    """host:port of the head that `address` (host:port or "auto") stands for. Public functions join the cluster first.

    Raises:
        ConnectionError, ValueError: there is no such head.
    """
    from ray._private import services

    head = _found(services, "canonicalize_bootstrap_address")(address)
    assert head is not None  # it is None only if no address is given
    return str(head)


def living_nodes(head: str, timeout_s: float) -> list[tuple[str, Mapping[str, float]]]:
    """(address, resources) of each living node, asked without joining. Public functions join the cluster.

    Raises:
        ray.exceptions.AuthenticationError: the head does not let this process in.
        ray.exceptions.RayError: it does not answer.
    """
    from ray import _raylet

    client = _found(_raylet, "GcsClient")(address=head)
    found = _found(client, "get_all_node_info")(timeout=timeout_s)
    return [(node.node_manager_address, node.resources_total) for node in found.values() if node.state == _ALIVE]


def lets_anybody_in(head: str, timeout_s: float) -> bool:
    """Whether a head answers without a token. Ray itself cannot ask: its processes keep the token that they have."""
    import grpc

    with grpc.insecure_channel(head) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
        try:
            ask(b"", timeout=timeout_s)
        except grpc.RpcError:  # it wants a token, or the request with one will report the error
            return False
    return True


def read_token_mode() -> None:
    """Have Ray read RAY_AUTH_MODE again. Otherwise it keeps what it read when it was imported."""
    from ray import _raylet

    _found(_raylet, "Config.initialize")("")


class SeenRequests:
    """Base class of a client of the jobs API, named before Ray's own client: it sees every request.

    Ray's client waits for an answer for ever and has neither a timeout nor a hook.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        _found(super(), "_do_request")
        super().__init__(*arguments, **options)

    def request(self, method: str, endpoint: str, **options: Any) -> Any:
        """Do a request by calling `send`; subclasses add what they need around it."""
        return self.send(method, endpoint, **options)

    def send(self, method: str, endpoint: str, **options: Any) -> Any:
        """The request as Ray does it; `options`: those of `requests.request`."""
        return super()._do_request(method, endpoint, **options)  # type: ignore[misc]  # of Ray's client

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        return self.request(method, endpoint, **options)


def _found(owner: Any, path: str) -> Any:
    """The object under a dotted name. Raises RayChanged if a part of it is missing."""
    value = owner
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            where = getattr(owner, "__name__", None) or type(owner).__name__
            raise RayChanged(f"{where}.{path}") from None
    return value
