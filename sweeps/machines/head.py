"""Asks the head of a Ray cluster (its global control service) what machines there are, without joining the cluster.

`ray.init` with a missing or wrong token says only that it cannot connect, after 50 s; the head says why, at once.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prune_core.errors import UserError
from sweeps.machines import ray_internals
from sweeps.machines.capacity import Node
from sweeps.machines.token import REFUSED, is_on, named_in_environment, ready_token, switch_off

_PATIENCE_S = 10
"""Ray's own choice is 30 s."""
_CONNECT_S = 3.0
_ANSWER_S = 10.0


def machines_of(address: str) -> list[tuple[str, Node]]:
    """IP address and resources of each living machine of the cluster at `address`.

    Args:
        address: host:port of the head, or "auto" for the cluster that this machine belongs to.

    Raises:
        UserError: it does not answer, does not let us in, or takes no token where the environment names one.
    """
    if address != "auto":
        _check_listening(address)
    named = named_in_environment()
    ready_token()
    ray_internals.limit_patience(_PATIENCE_S)
    from ray.exceptions import AuthenticationError, RayError

    try:
        with _nothing_on_stderr():
            head = ray_internals.address_of_head(address)
            useless = is_on() and ray_internals.lets_anybody_in(head, _ANSWER_S)
            if useless:
                switch_off()
            found = ray_internals.living_nodes(head, _ANSWER_S)
    except AuthenticationError:
        raise UserError(f"compute.address={address} does not let us in: {REFUSED}") from None
    except ray_internals.RayChanged:
        raise
    except (RayError, ConnectionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(
            f"compute.address={address} cannot be joined ({reason}): start the cluster, or correct the address, "
            "host:port of the head's GCS, usually port 6379"
        ) from None
    if useless and named:
        raise UserError(
            f"compute.address={address} takes no token, and for a driver that has one it would start no worker: unset "
            f"{' and '.join(named)}, or start the cluster with RAY_AUTH_MODE=token"
        )
    return [(address, Node.of(resources)) for address, resources in found]


def _check_listening(address: str) -> None:
    match = re.fullmatch(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", address)
    if match is None or int(match["port"]) > 65535:
        raise UserError(
            f"compute.address={address!r} must be auto or host:port, e.g. 10.0.0.1:6379, the head's GCS port"
        )
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=_CONNECT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"compute.address={address} does not answer ({reason}): start the cluster, or leave the address out"
        ) from None


@contextmanager
def _nothing_on_stderr() -> Iterator[None]:
    """Keep Ray's C++ code from printing errors that are raised as exceptions as well."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
