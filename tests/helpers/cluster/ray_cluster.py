"""A Ray cluster with a token, on namespace hosts or on loopback."""

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from tests.helpers.cluster.hosts import Host
from tests.helpers.drivers import ROOT, wait_for
from tests.helpers.servers import free_port

RAY = str(Path(sys.executable).with_name("ray"))
RESTARTED = ("sh", "-c", 'while [ "$(cut -d " " -f 4 /proc/$$/stat)" = "$PPID" ]; do "$@"; sleep 1; done', "sh")
"""Before a command: it is started again when it ends, as services are; Ray gives up if it is not up after 30 s.

This ends with its parent: killed tests do not leave a process that starts Ray again and again.
"""
START_S = 240.0
END_S = 600.0
_EVERYWHERE = ("--object-store-memory=100000000", "--disable-usage-stats", "--block")


def make_token(file: Path) -> Path:
    """Write a new token, readable for its owner only."""
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(32))
    return file


def token_environment(file: Path) -> dict[str, str]:
    """What makes Ray use the token in `file`."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def node_environment(token: Path) -> dict[str, str]:
    """What every machine of a cluster has: the token, our Python first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
    return {**token_environment(token), **quiet, "PATH": path, "PYTHONPATH": str(ROOT), "LIGHT_SECONDS": "3"}


class Ray:
    """A head that answers with its token, wherever it is."""

    api: str
    """The address of its jobs API."""
    token: Path

    def get(self, path: str) -> dict | None:
        """What the head answers to a request with its token; None if it does not."""
        request = urllib.request.Request(self.api + path, headers={"Authorization": f"Bearer {self.token.read_text()}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def jobs(self) -> dict[str, dict]:
        """{submission id: details} of its jobs."""
        return {job["submission_id"]: job for job in self.get("/api/jobs/") or []}

    def machines(self) -> int:
        """How many are alive."""
        answer = self.get("/api/v0/nodes?detail=1")
        nodes = answer["data"]["result"]["result"] if answer else []
        return sum(node["state"] == "ALIVE" for node in nodes)

    def answers(self) -> bool:
        return self.get("/api/version") is not None


class Loopback(Ray):
    """One machine that is head and worker, on this one; its API listens on loopback. `auth` is its RAY_AUTH_MODE."""

    def __init__(self, folder: Path, cpus: int = 2, gpus: int = 0, *others: str, auth: str = "token") -> None:
        self.token = make_token(folder / "token")
        port, dashboard, agent, client = (free_port() for _ in range(4))
        self.api = f"http://127.0.0.1:{dashboard}"
        ports = (f"--port={port}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}")
        more = (
            f"--ray-client-server-port={client}",
            f"--temp-dir={folder}",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
        )
        head = (*RESTARTED, RAY, "start", "--head", "--dashboard-host=127.0.0.1")
        with (folder / "head.log").open("wb") as log:
            self._start = subprocess.Popen(
                [*head, *ports, *more, *others, *_EVERYWHERE],
                env={**os.environ, **node_environment(self.token), "RAY_AUTH_MODE": auth},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.gcs = f"127.0.0.1:{port}"
        self.client = f"127.0.0.1:{client}"
        self.agent = f"http://127.0.0.1:{agent}"

    @property
    def raylet(self) -> str:
        """The address of its node manager."""
        (node,) = self.get("/nodes?view=summary")["data"]["summary"]
        return f"{node['raylet']['nodeManagerAddress']}:{node['raylet']['nodeManagerPort']}"

    def __enter__(self) -> "Loopback":
        wait_for(lambda: self.machines() == 1, "an answer of the head", START_S)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        start = psutil.Process(self._start.pid)
        family = [start, *start.children(recursive=True)]
        for process in family:  # the one that starts the others again first
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)


class Cluster(Ray):
    """Head and workers on hosts; the head runs no trials and keeps its state in `folder`, as on a volume.

    Args:
        folder: of logs, token and the head's state.
        head: its host.
    """

    def __init__(self, folder: Path, head: Host) -> None:
        self.token = make_token(folder / "token")
        self.api = f"http://{head.ip}:8265"
        self.gcs = f"{head.ip}:6379"
        self._folder = folder
        self._head = head

    def start_head(self) -> None:
        """Start it, or start it again with the state that it had."""
        ip = self._head.ip
        places = (f"--node-ip-address={ip}", "--port=6379", f"--dashboard-host={ip}", "--num-cpus=0")
        state = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(self._folder / "gcs")}
        self._start(self._head, "--head", *places, **state)
        wait_for(self.answers, "an answer of the head", START_S)

    def start_worker(self, host: Host, cpus: int = 1, gpus: int = 0, *others: str) -> None:
        """Start a worker machine; it joins within some seconds, see `wait_for_machines`."""
        where = (f"--address={self.gcs}", f"--node-ip-address={host.ip}", f"--num-cpus={cpus}", f"--num-gpus={gpus}")
        self._start(host, *where, *others)

    def wait_for_machines(self, count: int) -> None:
        """Wait until `count` machines, the head among them, are alive."""
        wait_for(lambda: self.machines() == count, f"{count} machines", START_S)

    def _start(self, host: Host, *arguments: str, **environment: str) -> None:
        log = self._folder / f"{host.name}.log"
        everywhere = {**node_environment(self.token), **environment}
        host.start(*RESTARTED, RAY, "start", *arguments, *_EVERYWHERE, log=log, environment=everywhere)


class Submit:
    """`prune-sweep submit ...` in a process of its own; what it prints goes to a file in `folder`."""

    started = 0

    def __init__(self, folder: Path, ray: Ray, *words: str, token: Path | None = None) -> None:
        Submit.started += 1
        self._log = folder / f"submit-{Submit.started}.log"
        where = ("compute=ray_jobs", f"compute.address={ray.api}")
        environment = {**os.environ, **token_environment(token or ray.token), "PYTHONUNBUFFERED": "1"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sweeps.submit", *words, *where],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()

    def until(self, *texts: str) -> str:
        """Wait until it has printed all of them; gives what it has printed."""
        wait_for(lambda: self.process.poll() is not None or self._has(texts), " and ".join(texts), END_S)
        assert self._has(texts), self.said
        return self.said

    def end(self) -> tuple[int, str]:
        """Wait for its end; exit code and what it printed."""
        return self.process.wait(END_S), self.said

    def _has(self, texts: Sequence[str]) -> bool:
        return all(text in self.said for text in texts)
