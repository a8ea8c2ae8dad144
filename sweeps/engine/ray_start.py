"""Starts Ray on this machine, in several attempts if needed, or joins a cluster."""

import logging
import os
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from prune_core.errors import UserError
from sweeps.engine import orphans, ray_places
from sweeps.engine.lost_ray import RayLost, leave, ray_was_left
from sweeps.engine.ray_watch import RayWatch
from sweeps.machines import MIB, MIN_OBJECT_STORE, Node, Request, ray_internals
from sweeps.process import home, is_writable

log = logging.getLogger(__name__)
# Ray gives its own processes thirty seconds to start, which may be too short on a busy machine.
_START_ATTEMPTS = 3


def worker_environment(request: Request) -> dict[str, str]:
    """Environment of the workers: threads limited before any library starts its own, TensorFlow quiet."""
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


def own_token() -> dict[str, str]:
    """A token for a Ray that is started here; {} if Ray is given a token or can read or make its own."""
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
    """Call `ray.init`. Raises RayLost if Ray dies meanwhile; `ray_was_left` if this process was connected to it."""
    ray_internals.this_node()  # a Ray that lacks private names is refused here, not in the thread that watches
    try:
        with RayWatch(ray_internals.this_node, end_rest, starting=True):
            ray.init(**asked)
    except RayLost:
        if ray_internals.this_node() is not None:
            leave(ray)
        raise


def start(
    ray: Any, request: Request, this: Node, data_bytes: int, folder: Path | None, end_rest: Callable[[], object]
) -> None:
    """Start Ray on this machine, on 127.0.0.1 only.

    Args:
        ray: the module.
        request: what one piece of work asks for.
        this: what this machine offers.
        data_bytes: size of what will be put into shared memory.
        folder: of all of Ray's files; None: Ray's own choice.
        end_rest: ends the rest of Ray if this process has to end.

    Raises:
        UserError: Ray does not start, or has no place for its files.
        RayLost: Ray has died after this process was connected to it (`ray_was_left`).
    """
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
            except ray_internals.RayChanged:
                raise
            except Exception as error:  # Ray raises many kinds
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
    """End the parts of Ray that have started. Raises UserError if there are no attempts left."""
    ray.shutdown()
    cause = "is there enough memory for it?"
    if folder is not None:
        cause = ray_places.cause(folder)
        orphans.clear(folder)
    if not attempts_left:
        raise UserError(f"Ray does not start on this machine ({reason}): {cause}")
    log.warning("Ray has not started and is started again: %s", reason)


def join(ray: Any, request: Request, address: str, end_rest: Callable[[], object]) -> None:
    """Join the cluster at `address`. Raises UserError if that is not possible, RayLost if Ray dies meanwhile."""
    try:
        _init(ray, end_rest, address=address, **_common(request))
    except ray_internals.RayChanged:
        raise
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"compute.address={address} cannot be joined ({reason}): correct it, or leave it out") from None


def _common(request: Request) -> dict[str, Any]:
    return {
        "log_to_driver": False,
        "configure_logging": False,
        "runtime_env": {"env_vars": worker_environment(request)},
    }
