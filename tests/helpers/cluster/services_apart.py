"""The services of the stack one by one, as `docker compose up`, `stop` and `run` handle them."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.cluster.stack import require_postgres
from tests.helpers.drivers import ROOT
from tests.helpers.servers import reachable_by_others


class Apart:
    """Services that are started and stopped by their names.

    Args:
        folder: of secrets, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sys.path.insert(0, str(ROOT / "docker" / "stack"))
        try:
            self._module = importlib.import_module("processes")
            services = importlib.import_module("services").services
        finally:
            sys.path.pop(0)
        self.make_secrets()
        self._known = {service.name: service for service in services(folder, {"WORKERS": "1"})}
        self._commands = self._processes()
        self._up: dict[str, Any] = {}

    def make_secrets(self, *arguments: str) -> None:
        """Run make_secrets.py."""
        command = [sys.executable, ROOT / "docker" / "make_secrets.py", "--folder", self.folder, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def up(self, *names: str) -> None:
        for name in names:
            self._up[name] = self._processes()
            self._up[name].start(self._known[name])

    def stop(self, *names: str) -> None:
        for name in names:
            self._up.pop(name).stop()

    def run(self, name: str, *command: str, given: str = "", **environment: str) -> str:
        """What a command prints that runs where the service would, its own one if none is given."""
        service = self._known[name]
        done = subprocess.run(
            service.command(*command), env={**self._commands.environment(service), **environment}, input=given, cwd="/",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def address(self, name: str) -> str:
        return self._known[name].address

    def end(self) -> None:
        self.stop(*reversed(self._up))
        self._commands.stop()

    def _processes(self) -> Any:
        return self._module.Processes(self.folder / "logs")


@contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """Services of which none runs yet; all are ended at the end. Skips where PostgreSQL is missing."""
    require_postgres()
    folder.mkdir()
    with reachable_by_others(folder):
        services = Apart(folder)
        try:
            yield services
        finally:
            services.end()
