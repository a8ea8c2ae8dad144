"""A real MLflow server, on a database file or on PostgreSQL, that can be stopped, killed and started again."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.drivers import wait_for

START_TIMEOUT_S = 120.0


def free_port() -> int:
    """A loopback port that nobody listens to now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`mlflow server` in a process group of its own; each start uses the same port, database and artifacts.

    Args:
        folder: of its log and artifacts.
        database: SQLAlchemy's address of its database.
        host: address that it listens on.
    """

    def __init__(self, folder: Path, database: str, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._host = host
        self._database = database
        self._port = free_port()
        self._process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_ENABLE_AI_GATEWAY": "false"}
        arguments = ["--host", self._host, "--port", str(self._port), "--workers", "1"]
        places = ["--backend-store-uri", self._database, "--artifacts-destination", str(self._folder / "artifacts")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *arguments, *places],
                env={**os.environ, **off}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, "an answer of the MLflow server", START_TIMEOUT_S)

    def stop(self) -> None:
        """End it as an administrator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(30)
            wait_for(lambda: not self._answers(), "the end of the MLflow server", 30)
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self._host, self._port)) == 0


@contextmanager
def sqlite_server(folder: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server on a database file."""
    yield from _served(Server(folder, f"sqlite:///{folder}/server.db", host))


@contextmanager
def postgres_server(folder: Path) -> Iterator[Server]:
    """A server on a PostgreSQL of its own; skips where PostgreSQL or its Python driver is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no initdb: install Debian's postgresql to run this")
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("no psycopg2 for the MLflow server: install psycopg2-binary, or put its folder into PYTHONPATH")
    programs, port = found[-1].parent, free_port()
    # Not below pytest's folders: those are for their owner alone, and PostgreSQL runs as somebody else.
    with tempfile.TemporaryDirectory(prefix="prune-sweep-postgres-", ignore_cleanup_errors=True) as own:
        data = Path(own) / "data"
        data.mkdir()
        if not os.geteuid():
            Path(own).chmod(0o711)
            shutil.chown(data, "postgres")
        control = [str(programs / "pg_ctl"), "-D", str(data), "-w"]
        options = f"-p {port} -c unix_socket_directories= -c listen_addresses=127.0.0.1"
        _as_postgres(
            str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"
        )
        _as_postgres(*control, "-o", options, "-l", str(data / "log"), "start")
        try:
            yield from _served(Server(folder, f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"))
        finally:
            _as_postgres(*control, "-m", "immediate", "stop")


def _served(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _as_postgres(*command: str) -> None:
    """PostgreSQL refuses root."""
    user = [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]
    done = subprocess.run([*user, *command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def reachable_by_others(folder: Path) -> Iterator[None]:
    """pytest's folders are for their owner alone, and PostgreSQL runs as somebody else."""
    closed = [parent for parent in folder.parents if not parent.stat().st_mode & 0o001] if not os.geteuid() else []
    modes = {parent: parent.stat().st_mode for parent in closed}
    for parent, mode in modes.items():
        parent.chmod(mode | 0o011)
    try:
        yield
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
