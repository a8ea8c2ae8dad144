"""How Ray is started on this machine, or joined on a cluster."""

import atexit
import gc
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from prune_core.errors import UserError
from sweeps.config.settings import ComputeSettings
from sweeps.engine import orphans, ray_places
from sweeps.engine.last_words import Logs
from sweeps.engine.ray_watch import RayLost, RayWatch
from sweeps.machines import MIB, MIN_OBJECT_STORE, Node, Request, local_node, place_of, ray_internals, room_for
from sweeps.process import home, is_writable, signals

log = logging.getLogger(__name__)
# Ray gives its own processes thirty seconds to start, which are over soon on a busy machine.
_START_ATTEMPTS = 3

_left = False

# Ray Tune writes files, catches signals and prints traces that the service takes care of itself.
_DRIVER_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


def worker_environment(request: Request) -> dict[str, str]:
    """Environment of the workers: threads bounded before any library starts its own, TensorFlow quiet."""
    threads = str(request.threads)
    bounded = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        **dict.fromkeys((*bounded, "TF_NUM_INTRAOP_THREADS"), threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "PYTHONWARNINGS": "",
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
    }


@contextmanager
def connected(compute: ComputeSettings, data_bytes: int, folder: Path | None = None) -> Iterator[int]:
    """Start Ray on this machine or join a cluster; gives the number of pieces of work that fit at once.

    A Ray that this process is connected to already is used and left as it is. What is started here ends here.

    Args:
        compute: where to work.
        data_bytes: size of what will be put into shared memory.
        folder: of a Ray started here; None: Ray's own choice.

    Raises:
        UserError: no node has what a trial asks for, Ray does not start, or the cluster does not let us in.
    """
    request = Request.of(compute)
    import ray  # sets its loggers up, which are then made quiet

    environment = {**_DRIVER_ENVIRONMENT, **(_token() if compute.address is None else {})}
    with (
        _environment(environment),
        _quiet("ray", "ray.tune", "ray.data", "ray.train"),
        ray_internals.silent_raylet(ray_was_left),
    ):
        ours = not ray.is_initialized()
        handled_by = signals.handlers()
        end_rest = partial(orphans.clear, folder) if folder else _nothing
        if ours:
            if compute.address is None:
                _start(ray, request, local_node(compute), data_bytes, folder, end_rest)
            else:
                _join(ray, request, compute.address, end_rest)
        try:
            signals.put_in(handled_by)  # Ray has put in its own
            with RayWatch(ray_internals.this_node, end_rest):
                nodes = [Node.of(node["Resources"]) for node in ray.nodes() if node["Alive"]]
            yield room_for(request, nodes, place_of(compute), compute.max_concurrent).slots
        except RayLost:
            _leave(ray)
            ours = False
            raise
        finally:
            if ours:
                # References that another thread's collector lets go of while Ray shuts down make Ray end the process.
                gc.collect()
                _shut_down(ray, handled_by, end_rest)


def _nothing() -> None:
    """What there is to end of a Ray that somebody else has started."""


def logs() -> Logs:
    """Where Ray, started or joined, keeps the logs of this node."""
    node = ray_internals.this_node()
    return Logs(Path(node.get_logs_dir_path()), node.node_ip_address)


def ray_was_left() -> bool:
    """Whether a Ray that was lost is still in this process: only `os._exit` ends that in time."""
    return _left


def _leave(ray: Any) -> None:
    """Ask a lost Ray for nothing more, also not when Python ends."""
    global _left
    _left = True
    atexit.unregister(ray.shutdown)


def _shut_down(ray: Any, handled_by: Mapping[int, Any], end_rest: Callable[[], object]) -> None:
    """End Ray, or leave it.

    Its C code takes away whatever handles SIGTERM, which would then end this process on the spot. So the handlers are
    put in again right after that, before the seconds in which Ray's processes are ended.
    """
    watch = RayWatch(ray_internals.this_node, end_rest)

    def put_handlers_in() -> None:
        watch.end()
        signals.put_in(handled_by)

    ray_internals.before_processes_end(ray_internals.this_node(), put_handlers_in)
    with suppress(RayLost), watch:
        ray.shutdown()


def _token() -> dict[str, str]:
    """A token for a Ray of our own, where Ray can neither read nor make the file of tokens in the home folder."""
    folder = Path(os.path.expanduser("~")) / ".ray"
    is_named = bool(os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"})
    can_be_made = is_writable(folder) if folder.exists() else home() is not None
    if is_named or can_be_made or os.access(folder / "auth_token", os.R_OK):
        return {}
    return {"RAY_AUTH_TOKEN": _one_token()}


@cache  # Ray keeps the first one that it has seen
def _one_token() -> str:
    return secrets.token_hex(32)


def _init(ray: Any, end_rest: Callable[[], object], **asked: Any) -> None:
    """Raises RayLost if it dies again while it starts; `ray_was_left` if it had come so far as to be connected to."""
    try:
        with RayWatch(ray_internals.this_node, end_rest, starting=True):
            ray.init(**asked)
    except RayLost:
        if ray_internals.this_node() is not None:
            _leave(ray)
        raise


def _start(
    ray: Any, request: Request, this: Node, data_bytes: int, folder: Path | None, end_rest: Callable[[], object]
) -> None:
    shared_memory = _shared_memory(folder) if folder else None
    asked = {
        "address": "local",
        "num_cpus": this.cpus,
        "num_gpus": this.gpus,
        "object_store_memory": max(MIN_OBJECT_STORE, int(1.3 * data_bytes) + 64 * MIB),
        "include_dashboard": False,
        **ray_internals.start_options(int(this.memory), str(folder) if folder else None, shared_memory),
        **_common(request),
    }
    with ray_internals.on_this_machine_only():
        for attempts_left in reversed(range(_START_ATTEMPTS)):
            try:
                _init(ray, end_rest, **asked)
                break
            except RayLost as error:
                if ray_was_left():
                    raise
                _give_up_start(ray, folder, str(error), attempts_left)
            except Exception as error:  # of no particular kind
                _give_up_start(ray, folder, f"{type(error).__name__}: {error}".splitlines()[0], attempts_left)


def _shared_memory(folder: Path) -> str | None:
    """The folder of the object store; None: Ray's own choice. Raises UserError if Ray has no place for its own files.

    Args:
        folder: for all of Ray's files.
    """
    place, wanted = folder.parent, ray_places.wanted()
    if problem := ray_places.unfit(place):
        raise UserError(f"Ray cannot be started: {place} {problem}; name a short folder that can be written in TMPDIR")
    if place != wanted:
        log.warning("%s %s: Ray's own files go to %s", wanted, ray_places.unfit(wanted), place)
    if is_writable(ray_places.SHARED_MEMORY):
        return None
    log.warning("%s cannot be written: shared memory is in %s, which is slower", ray_places.SHARED_MEMORY, place)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _give_up_start(ray: Any, folder: Path | None, reason: str, attempts_left: int) -> None:
    """End what has started of it. Raises UserError if it is not to be tried again."""
    ray.shutdown()
    cause = "is there enough memory for it?"
    if folder is not None:
        cause = ray_places.cause(folder)
        orphans.clear(folder)
    if not attempts_left:
        raise UserError(f"Ray does not start on this machine ({reason}): {cause}")
    log.warning("Ray has not started and is started again: %s", reason)


def _join(ray: Any, request: Request, address: str, end_rest: Callable[[], object]) -> None:
    try:
        _init(ray, end_rest, address=address, **_common(request))
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"compute.address={address} cannot be joined ({reason}): correct it, or leave it out") from None


def _common(request: Request) -> dict[str, Any]:
    return {
        "log_to_driver": False,
        "configure_logging": False,
        "runtime_env": {"env_vars": worker_environment(request)},
    }


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
def _quiet(*names: str) -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in () if _left else levels.items():
            logging.getLogger(name).setLevel(level)
