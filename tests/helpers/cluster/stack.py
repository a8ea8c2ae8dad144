"""`make stack` in a process of its own, with what one needs to knock on its doors."""

import configparser
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.helpers.cluster.doors import OPEN, REFUSED, Door, basic
from tests.helpers.drivers import ROOT, wait_for
from tests.helpers.servers import reachable_by_others

START_S = 600.0
STOP_S = 300.0


class Stack:
    """A stack that is ready.

    Attributes:
        folder: of its secrets, state and logs.
        addresses: {service: loopback address}.
        process: of the stack itself.
    """

    def __init__(self, folder: Path, process: subprocess.Popen, said: Path) -> None:
        self.folder = folder
        self.process = process
        self.addresses: dict[str, str] = json.loads((folder / "addresses.json").read_text())
        self.said = said

    @property
    def mlflow(self) -> str:
        return f"http://{self.addresses['mlflow']}:5000"

    @property
    def secrets(self) -> dict[str, str]:
        """What nobody may see, by its own name."""
        return {
            **{name: self._file(name).read_text() for name in ("ray_token", "postgres_password", "flask_secret_key")},
            "admin": self._value("mlflow_auth.ini", "mlflow", "admin_password"),
            "sweep": self._value("home/.mlflow/credentials", "mlflow", "mlflow_tracking_password"),
            "object store": self._value("aws_credentials", "default", "aws_secret_access_key"),
        }

    def written(self) -> list[Path]:
        """All logs of the services."""
        return [
            path for folder in (self.folder / "logs", self._temporary) for path in folder.rglob("*.*") if path.is_file()
        ]

    @property
    def _temporary(self) -> Path:
        """Where Ray keeps its logs."""
        arguments = [
            word for child in psutil.Process(self.process.pid).children(recursive=True) for word in child.cmdline()
        ]
        return Path(next(word for word in arguments if word.startswith("--temp-dir=")).partition("=")[2]).parent

    def doors(self) -> list[Door]:
        """The doors that have to be shut, without Ray's."""
        user, secrets = self._value("mlflow_auth.ini", "mlflow", "admin_username"), self.secrets
        api = f"{self.mlflow}/api/2.0"
        return [
            basic("MLflow UI", self.mlflow, user, secrets["admin"]),
            basic("MLflow API: experiments", f"{api}/mlflow/experiments/get?experiment_id=0", user, secrets["admin"]),
            basic("MLflow artifacts", f"{api}/mlflow-artifacts/artifacts?path=", user, secrets["admin"]),
            Door("PostgreSQL", self._into_postgres, secrets["postgres_password"]),
            Door("Object store (S3)", self._into_store, secrets["object store"]),
        ]

    def _into_postgres(self, secret: str | None) -> str:
        import psycopg2

        try:
            psycopg2.connect(
                host=self.addresses["postgres"],
                user="tracking",
                dbname="tracking",
                password=secret,
                passfile=str(self.folder / "none"),
            ).close()
        except psycopg2.OperationalError as error:
            return f"{REFUSED}: password" if "password" in str(error) else f"no answer: {error}"
        return OPEN

    def _into_store(self, secret: str | None) -> str:
        import boto3
        import botocore
        from botocore.exceptions import ClientError

        key = self._value("aws_credentials", "default", "aws_access_key_id")
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        signed = {} if secret else {"signature_version": botocore.UNSIGNED}
        store = boto3.client(
            "s3", endpoint_url=f"http://{self.addresses['object-store']}:8333", region_name="us-east-1",
            config=botocore.config.Config(**signed), **(keys if secret else {}),
        )  # fmt: skip
        try:
            store.list_objects_v2(Bucket="mlflow")
        except ClientError as error:
            return f"{REFUSED}: HTTP {error.response['ResponseMetadata']['HTTPStatusCode']}"
        return OPEN

    def _file(self, name: str) -> Path:
        return self.folder / "secrets" / name

    def _value(self, name: str, section: str, key: str) -> str:
        file = configparser.ConfigParser(interpolation=None)
        file.read(self._file(name))
        return file[section][key]


def require_postgres() -> None:
    """Skip the test where PostgreSQL's programs are missing."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("no initdb: install Debian's postgresql to run this")


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """A stack of two workers in `folder`, which may hold that of an earlier one. Skips where PostgreSQL is missing."""
    require_postgres()
    folder.mkdir(exist_ok=True)
    said = folder / "said"
    with reachable_by_others(folder), said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "docker/stack", "--folder", str(folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        try:
            wait_for(lambda: process.poll() is not None or "ready" in said.read_text(), "the stack", START_S)
            assert process.poll() is None, said.read_text()
            yield Stack(folder, process, said)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)
