"""A Ray cluster's jobs API over HTTP. Access is checked before anything is uploaded."""

import logging
import os
import platform
import re
from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient
from ray.util.state import list_nodes
from ray.util.state.common import NodeState

from prune_core.errors import UserError
from sweeps.machines import REFUSED, ray_internals

TIMEOUT_S = 15.0
"""Seconds to wait for a head that has gone away, at each step of a request."""
_MOST_NODES = 10_000
_URL = re.compile(r"https?://[^/\s@]+/?")
_SIGNS = {
    "Connection refused": "nobody listens there",
    "NameResolutionError": "no host of that name is known here",
    "Connection aborted": "it closes the connection: perhaps not the port of the jobs API, which is usually 8265",
}
"""{part of an error's text: what it means}."""


for _name in ("dashboard_sdk", "job.sdk"):
    logging.getLogger(f"ray.dashboard.modules.{_name}").setLevel(logging.WARNING)  # they log every connection


class Unreachable(UserError):
    """The cluster does not answer now; it may answer later."""


class Client(ray_internals.SeenRequests, JobSubmissionClient):
    """Ray's own client with a time limit (Ray 2.60 waits for an answer without end) and with clear error messages.

    Every request raises Unreachable if nobody answers, and UserError if the token is missing or wrong.
    """

    def request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        """One request, with the time limit and the error messages."""
        try:
            return self.send(method, endpoint, **{"timeout": TIMEOUT_S, **options})
        except AuthenticationError as error:
            why = "no token was sent" if "Authentication required" in str(error) else "it is another token"
            raise UserError(f"compute.address={self.url} does not let us in ({why}): {REFUSED}") from None
        except requests.RequestException as error:
            raise Unreachable(
                f"compute.address={self.url} does not answer ({_why(error)}): correct it, or start the cluster"
            ) from None

    @property
    def url(self) -> str:
        """The address of the cluster's head."""
        return str(self.get_address())

    def versions(self) -> dict[str, str]:
        """`rayVersion` and `pythonVersion` of the cluster."""
        answer = self.request("GET", "/api/v0/cluster_metadata")
        answer.raise_for_status()
        return dict(answer.json()["data"])


def connect(address: str | None) -> Client:
    """A client of the cluster at `address`, the HTTP address of its head.

    Raises:
        UserError: it is not such an address, nobody answers, the token is missing or wrong.
    """
    if address is None or not _URL.fullmatch(address):
        raise UserError(
            f"compute.address={address} must be the HTTP address of the cluster's head, as in http://10.0.0.1:8265"
        )
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        os.environ.pop(name, None)  # Ray would prefer them to what was asked for
    try:
        return Client(address.rstrip("/"))
    except UserError:
        raise
    except (RuntimeError, requests.RequestException, ValueError, KeyError):
        raise UserError(
            f"what answers at compute.address={address} is not the head of a Ray cluster: correct it"
        ) from None


def check_versions(client: Client) -> None:
    """Raise UserError unless Ray, and Python up to its minor version, are the same there and here."""
    import ray

    there = client.versions()
    for name, ours, theirs in (
        ("Ray", ray.__version__, there["rayVersion"]),
        ("Python", _minor(platform.python_version()), _minor(there["pythonVersion"])),
    ):
        if ours != theirs:
            raise UserError(
                f"the cluster has {name} {theirs} and this machine {ours}: submit from one with the cluster's version, "
                "or bring the cluster's image up to date"
            )


def machines(client: Client) -> list[NodeState]:
    """The living machines of the cluster."""
    found = list_nodes(address=client.url, detail=True, limit=_MOST_NODES, timeout=int(TIMEOUT_S))
    return [machine for machine in found if machine.state == "ALIVE"]


def _why(error: requests.RequestException) -> str:
    """What is wrong with an address, judged by the text of the error."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no HTTPS is spoken there that this machine trusts"
    said = str(error)
    for sign, meaning in _SIGNS.items():
        if sign in said:
            return meaning
    reason = re.search(r"\[Errno -?\d+\] ([^'\")]+)", said)
    return reason[1].lower() if reason else type(error).__name__


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
