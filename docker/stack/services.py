"""The services of compose.yaml, translated to processes of this machine.

Compose itself reads the file and fills in its variables. Differences from a container are translated here: the name
and every interface of a service become a loopback address of its own, and mounted files are used where they are.
"""

import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

DOCKER = Path(__file__).resolve().parent.parent
FOREIGN = ("RAY_", "MLFLOW_", "AWS_", "PG")
"""Prefixes of variables that a service takes from compose.yaml only."""


class StackError(Exception):
    """The stack cannot be started or used; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Service:
    """One process of the stack.

    Attributes:
        name: in compose.yaml.
        label: the name, with a number where there are several of them.
        definition: what compose.yaml says, variables filled in.
        address: its own on loopback.
        addresses: {service: the address of its first process}.
        folder: of this stack.
    """

    name: str
    label: str
    address: str
    definition: Mapping[str, Any]
    addresses: Mapping[str, str]
    folder: Path

    @property
    def mounts(self) -> dict[str, str]:
        """{path in the container: path here}."""
        configs = {c["target"]: str(DOCKER / "mlflow" / f"{c['source']}.py") for c in self._list("configs")}
        return {
            "/run/secrets": str(self.folder / "secrets"),
            **configs,
            **{volume["target"]: volume["source"] for volume in self._list("volumes")},
        }

    @property
    def environment(self) -> dict[str, str]:
        """This process's own variables, without those that belong to other stacks, and those of compose.yaml."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        given = (self.definition.get("environment") or {}).items()
        own = {key: self.addresses.get(value) or self._here(value) for key, value in given}
        return {**inherited, "PATH": search_path(), **own}

    def command(self, *arguments: str) -> list[str]:
        """The command line; `arguments` stand in for those of compose.yaml, as in `docker compose run`."""
        words = [*self._list("entrypoint"), *(arguments or self._list("command"))]
        return [self._here(word) for word in words]

    @property
    def health_url(self) -> str | None:
        """What answers when the service is there; our image asks the same."""
        return self.environment.get("HEALTH_URL")

    @property
    def health_test(self) -> list[str]:
        """A command that succeeds when the service is there; empty if there is none."""
        return [self._here(word) for word in (self.definition.get("healthcheck") or {}).get("test", ())[1:]]

    @property
    def restarts(self) -> bool:
        """Whether it is started again when it ends by itself."""
        return self.definition.get("restart") != "no"

    @property
    def grace_s(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return _seconds(self.definition["stop_grace_period"])

    def _list(self, key: str) -> Sequence[Any]:
        return self.definition.get(key) or ()

    def _here(self, text: str) -> str:
        for inside, outside in self.mounts.items():
            text = re.sub(rf"(?<![\w./-]){re.escape(inside)}(?![\w-])", lambda _, path=outside: path, text)
        for name, address in self.addresses.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?=:\d)", address, text)
        return re.sub(r"\b(0\.0\.0\.0|127\.0\.0\.1)\b", self.address, text)


def services(folder: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """The services that run, each after those that it depends on.

    Args:
        folder: of secrets and state.
        settings: variables of compose.yaml.

    Raises:
        StackError: compose.yaml cannot be read with these settings.
    """
    ports = {"RAY_PORT": str(_free_port())}
    definitions = _compose(folder, {**settings, **ports})
    network = f"127.{random.randrange(16, 255)}.{random.randrange(1, 255)}"
    free = (f"{network}.{number}" for number in range(2, 255))
    addresses = {name: next(free) for name in definitions}
    runs = {name: list(definition.get("depends_on") or ()) for name, definition in definitions.items()}
    for name in TopologicalSorter(runs).static_order():
        replicas = (definitions[name].get("deploy") or {}).get("replicas", 1)
        for number in range(1, replicas + 1):
            # Each container has this port for itself; here all share one machine.
            definition = _compose(folder, {**settings, **ports, "RAY_AGENT_PORT": str(_free_port())})[name]
            label = f"{name}-{number}" if replicas > 1 else name
            address = addresses[name] if number == 1 else next(free)
            yield Service(name, label, address, definition, addresses, folder)


def _compose(folder: Path, variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    given = {"SECRETS_DIR": str(folder / "secrets"), "STATE_DIR": str(folder / "state"), **variables}
    done = subprocess.run(
        ["docker-compose", "--env-file", str(folder / ".env"), "--profile", "sweep", "-f", str(DOCKER / "compose.yaml"),
         "config", "--format", "json"],
        env={"PATH": search_path(), **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not done.stdout:  # its exit code is always 0
        raise StackError(f"compose.yaml cannot be read: {done.stderr.strip()}")
    return json.loads(done.stdout)["services"]


def search_path() -> str:
    """Where programs are looked for: this Python's own folder first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _seconds(duration: str) -> float:
    """Seconds of Compose's "1m30s"."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", duration))
