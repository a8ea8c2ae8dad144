"""A Ray cluster with a token, on namespace hosts or on loopback."""

import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.cluster.hosts import Host
from tests.faults.drivers import wait_for

RAY = str(Path(sys.executable).with_name("ray"))
START_S = 240.0
_STORE = ("--object-store-memory=100000000", "--disable-usage-stats", "--block")


def make_token(file: Path) -> Path:
    """Write a new token, readable for its owner only."""
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(32))
    return file


def token_environment(file: Path | None) -> dict[str, str]:
    """What makes Ray use the token in `file`; None: no token, whatever this machine has."""
    if file is None:
        return {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN_PATH": "", "RAY_AUTH_TOKEN": ""}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


class Cluster:
    """Head and workers on hosts; the head runs no trials and keeps its state in `folder`, as on a volume.

    Args:
        folder: of logs, token and the head's state.
        head: its host.
    """

    def __init__(self, folder: Path, head: Host) -> None:
        self.token = make_token(folder / "token")
        self._folder = folder
        self._head = head

    @property
    def api(self) -> str:
        """The address of its jobs API."""
        return f"http://{self._head.ip}:8265"

    @property
    def gcs(self) -> str:
        """The address for drivers that join."""
        return f"{self._head.ip}:6379"

    def start_head(self) -> None:
        """Start it, or start it again with the state that it had."""
        ip = self._head.ip
        places = (f"--node-ip-address={ip}", "--port=6379", f"--dashboard-host={ip}", "--num-cpus=0")
        state = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(self._folder / "gcs")}
        self._start(self._head, "--head", *places, **state)
        wait_for(self._answers, "an answer of the head", START_S)

    def start_worker(self, host: Host, cpus: int = 1, gpus: int = 0, *others: str) -> None:
        """Start a worker machine; it joins within some seconds, see `wait_for_machines`."""
        where = (f"--address={self.gcs}", f"--node-ip-address={host.ip}", f"--num-cpus={cpus}", f"--num-gpus={gpus}")
        self._start(host, *where, *others)

    def wait_for_machines(self, count: int) -> None:
        """Wait until so many machines, the head among them, are alive."""
        wait_for(lambda: self.machines() == count, f"{count} machines", START_S)

    def machines(self) -> int:
        """How many are alive."""
        answer = self.get("/api/v0/nodes?detail=1")
        nodes = answer["data"]["result"]["result"] if answer else []
        return sum(node["state"] == "ALIVE" for node in nodes)

    def get(self, path: str) -> dict | None:
        """What the head answers to a request with its token; None if it does not."""
        request = urllib.request.Request(self.api + path, headers={"Authorization": f"Bearer {self.token.read_text()}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def _answers(self) -> bool:
        return self.get("/api/version") is not None

    def _start(self, host: Host, *arguments: str, **environment: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        everywhere = {**token_environment(self.token), "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
        host.start(
            RAY,
            "start",
            *arguments,
            *_STORE,
            log=self._folder / f"{host.name}.log",
            environment={**everywhere, **environment},
        )
