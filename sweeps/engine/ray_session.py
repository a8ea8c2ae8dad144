"""The time in which a sweep is connected to Ray, from its start to its orderly end."""

import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.config.settings import ComputeSettings
from sweeps.engine import orphans, ray_start
from sweeps.engine.last_words import Logs
from sweeps.engine.lost_ray import RayLost, leave, ray_was_left
from sweeps.engine.ray_watch import RayWatch
from sweeps.machines import Node, Request, local_node, place_of, ray_internals, room_for
from sweeps.process import signals

# Ray Tune writes files, catches signals and prints traces that the service takes care of itself.
_DRIVER_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


@contextmanager
def connected(compute: ComputeSettings, data_bytes: int, folder: Path | None = None) -> Iterator[int]:
    """Start Ray on this machine or join a cluster; gives the number of pieces of work that fit at once.

    If this process is connected to a Ray already, that Ray is used and left as it is. A Ray that starts here ends here.

    Args:
        compute: where to work.
        data_bytes: size of what will be put into shared memory.
        folder: for the files of a Ray that is started here; None: Ray's own choice.

    Raises:
        UserError: no node has what a trial asks for, Ray does not start, or the cluster does not let us in.
    """
    request = Request.of(compute)
    import ray  # sets up its loggers, which are then made quiet

    environment = {**_DRIVER_ENVIRONMENT, **(ray_start.own_token() if compute.address is None else {})}
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
                ray_start.start(ray, request, local_node(compute), data_bytes, folder, end_rest)
            else:
                ray_start.join(ray, request, compute.address, end_rest)
        try:
            signals.put_in(handled_by)  # Ray has installed its own
            with RayWatch(ray_internals.this_node, end_rest):
                nodes = [Node.of(node["Resources"]) for node in ray.nodes() if node["Alive"]]
            yield room_for(request, nodes, place_of(compute), compute.max_concurrent).slots
        except RayLost:
            leave(ray)
            ours = False
            raise
        finally:
            if ours:
                # Ray ends the process if another thread's garbage collector frees references while Ray shuts down.
                gc.collect()
                _shut_down(ray, handled_by, end_rest)


def _nothing() -> None:
    """Nothing has to be ended of a Ray that somebody else has started."""


def logs() -> Logs:
    """Where Ray, started or joined, keeps the logs of this node."""
    node = ray_internals.this_node()
    return Logs(Path(node.get_logs_dir_path()), node.node_ip_address)


def _shut_down(ray: Any, handled_by: Mapping[int, Any], end_rest: Callable[[], object]) -> None:
    """End Ray, or leave it if it is lost.

    Ray's C code removes the handler of SIGTERM, so that SIGTERM would end this process at once. The handlers are
    therefore installed again right after that, before Ray's processes are ended, which takes seconds.
    """
    watch = RayWatch(ray_internals.this_node, end_rest)

    def put_handlers_in() -> None:
        watch.end()
        signals.put_in(handled_by)

    ray_internals.before_processes_end(ray_internals.this_node(), put_handlers_in)
    with suppress(RayLost), watch:
        ray.shutdown()


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
        for name, level in () if ray_was_left() else levels.items():
            logging.getLogger(name).setLevel(level)
