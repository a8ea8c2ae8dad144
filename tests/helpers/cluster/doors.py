"""Knocks on the network doors of a cluster, without a secret, with a wrong one and with the right one."""

import base64
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 60.0
WRONG = "0" * 64
OPEN, REFUSED = "open", "refused"

Knock = Callable[[str | None], str]
"""Takes a secret, or None, and gives the answer in a word or two; it begins with `REFUSED` where nobody gets in."""


@dataclass(frozen=True)
class Door:
    """Something that listens.

    Attributes:
        name: for a person.
        knock: tries it.
        secret: the right one.
    """

    name: str
    knock: Knock
    secret: str

    def answers(self) -> tuple[str, str, str]:
        """The answers to no secret, to a wrong one and to the right one."""
        return self.knock(None), self.knock(WRONG), self.knock(self.secret)

    def row(self, *answers: str) -> str:
        """A line of a Markdown table."""
        return f"| {self.name} | {' | '.join(answers)} |"


def bearer(name: str, url: str, token: str) -> Door:
    """A page or API that wants a token."""
    return Door(name, lambda secret: _http(url, f"Bearer {secret}" if secret else None), token)


def basic(name: str, url: str, user: str, password: str) -> Door:
    """A page or API that wants a user and a password."""

    def knock(secret: str | None) -> str:
        return _http(url, "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode() if secret else None)

    return Door(name, knock, password)


def grpc_of_ray(name: str, address: str, service: str, method: str, message: Any, token: str) -> Door:
    """A gRPC service of Ray's; `service` is the name of its stub's class without module."""
    import grpc
    from ray.core.generated import gcs_service_pb2_grpc, node_manager_pb2_grpc, ray_client_pb2_grpc

    modules = (gcs_service_pb2_grpc, node_manager_pb2_grpc, ray_client_pb2_grpc)
    stub = next(getattr(module, service) for module in modules if hasattr(module, service))

    def knock(secret: str | None) -> str:
        metadata = [("authorization", f"Bearer {secret}")] if secret else []
        try:
            with grpc.insecure_channel(address) as channel:
                # Ray's ports open one after the other: one that nobody listens to yet is waited for.
                ask = getattr(stub(channel), method)
                ask(message, metadata=metadata, timeout=TIMEOUT_S, wait_for_ready=True)
        except grpc.RpcError as error:
            known = error.code()  # type: ignore[attr-defined]
            if known is grpc.StatusCode.UNAUTHENTICATED:
                return f"{REFUSED}: unauthenticated"
            if known is not grpc.StatusCode.NOT_FOUND:  # it was let in, and asked for something that is not there
                return f"no answer: {known.name.lower()}"
        return OPEN

    return Door(name, knock, token)


def _http(url: str, authorization: str | None) -> str:
    headers = {"Authorization": authorization} if authorization else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S):
            return OPEN
    except urllib.error.HTTPError as error:
        return f"{REFUSED}: HTTP {error.code}" if error.code in (401, 403) else f"{OPEN}: HTTP {error.code}"
    except OSError as error:
        return f"no answer: {type(error).__name__}"
