"""What docker/README.md says about a stack that is in use: rotating secrets, backing up, upgrading."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.helpers.cluster.services_apart import Apart, apart

pytestmark = pytest.mark.slow
ALL = ("postgres", "object-store", "bucket", "mlflow", "account")
ARTIFACT = b"what a trial has left"
OLDER = """\
import alembic.command, sqlalchemy
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config

config = _get_alembic_config("postgresql+psycopg2:///tracking")
revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
with sqlalchemy.create_engine("postgresql+psycopg2:///tracking").begin() as config.attributes["connection"]:
    alembic.command.downgrade(config, revisions[2])
print(revisions[2], revisions[0])
"""
"""Makes the schema that of an older MLflow; prints its revision and the newest one."""


class Mlflow:
    """The server, through its API."""

    def __init__(self, services: Apart) -> None:
        self._folder = services.folder / "secrets"
        self._server = f"http://{services.address('mlflow')}:5000/api/2.0"

    @property
    def admin(self) -> tuple[str, str]:
        """User and password."""
        return self._account("mlflow_auth.ini", "admin_")

    @property
    def sweep(self) -> tuple[str, str]:
        """User and password."""
        return self._account("home/.mlflow/credentials", "mlflow_tracking_")

    def lets_in(self, account: tuple[str, str]) -> bool:
        answer = requests.get(f"{self._server}/mlflow/users/current", auth=account, timeout=60)
        assert answer.status_code in (200, 401), answer.text
        return answer.ok

    def ask(self, method: str, path: str, account: tuple[str, str], **content: object) -> requests.Response:
        answer = requests.request(method, f"{self._server}/{path}", auth=account, timeout=60, **content)
        assert answer.ok, answer.text
        return answer

    def log_run(self) -> str:
        """Make a run with an artifact; gives the path of both."""
        name = {"name": "upkeep"}
        experiment = self.ask("POST", "mlflow/experiments/create", self.sweep, json=name).json()["experiment_id"]
        made = self.ask("POST", "mlflow/runs/create", self.sweep, json={"experiment_id": experiment}).json()
        run = made["run"]["info"]["run_id"]
        self.ask("PUT", f"mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/a.txt", self.sweep, data=ARTIFACT)
        return f"{experiment}/{run}"

    def assert_has(self, run: str) -> None:
        experiment, _, name = run.partition("/")
        self.ask("GET", "mlflow/runs/get", self.sweep, params={"run_id": name})
        path = f"mlflow-artifacts/artifacts/{experiment}/{name}/artifacts/a.txt"
        assert self.ask("GET", path, self.sweep).content == ARTIFACT

    def _account(self, file: str, prefix: str) -> tuple[str, str]:
        content = configparser.ConfigParser(interpolation=None)
        content.read(self._folder / file)
        return content["mlflow"][f"{prefix}username"], content["mlflow"][f"{prefix}password"]


def test_secrets_are_rotated_and_a_backup_of_an_older_schema_comes_back(tmp_path: Path) -> None:
    with apart(tmp_path / "stack") as services:
        services.up(*ALL)
        mlflow = Mlflow(services)
        run = mlflow.log_run()
        renew_account(services, mlflow)
        change_admin(services, mlflow)
        renew_the_rest(services)
        mlflow.assert_has(run)
        dump = back_up(services)
        services.stop("postgres")
        shutil.rmtree(services.folder / "state")
        bring_back(services, dump)
        upgrade(services)
        services.up("bucket", "mlflow", "account")
        mlflow.assert_has(run)


def renew_account(services: Apart, mlflow: Mlflow) -> None:
    before = mlflow.sweep
    services.make_secrets("--renew", "mlflow-sweep")
    services.run("account")
    assert [mlflow.lets_in(before), mlflow.lets_in(mlflow.sweep)] == [False, True]


def change_admin(services: Apart, mlflow: Mlflow) -> None:
    user, before = mlflow.admin
    after = "a-password-that-a-person-chose"
    change = {"username": user, "current_password": before, "password": after}
    mlflow.ask("PATCH", "mlflow/users/update-password", (user, before), json=change)
    settings = services.folder / "secrets" / "mlflow_auth.ini"
    settings.write_text(settings.read_text().replace(before, after))
    assert [mlflow.lets_in((user, before)), mlflow.lets_in(mlflow.admin)] == [False, True]
    services.run("account")  # which signs in as admin


def renew_the_rest(services: Apart) -> None:
    before = services.folder / "pgpass-before"
    shutil.copy(services.folder / "secrets" / "pgpass", before)
    services.make_secrets("--renew", "postgres", "--renew", "object-store", "--renew", "flask")
    password = (services.folder / "secrets" / "postgres_password").read_text()
    psql = ("psql", "-q", "-U", "tracking")
    services.run("mlflow", *psql, given=f"ALTER ROLE tracking PASSWORD '{password}'", PGPASSFILE=str(before))
    with pytest.raises(AssertionError, match="password authentication failed"):
        services.run("mlflow", *psql, given="SELECT 1", PGPASSFILE=str(before))
    services.stop("mlflow", "object-store")
    services.up("object-store", "mlflow")


def back_up(services: Apart) -> Path:
    dump = services.folder / "tracking.dump"
    services.run("mlflow", "pg_dump", "-U", "tracking", "-Fc", f"--file={dump}", "tracking")
    services.stop("mlflow", "object-store")
    tar(services, "-czf", "object-store", "work")
    return dump


def bring_back(services: Apart, dump: Path) -> None:
    services.make_secrets()
    services.up("postgres")
    services.run("mlflow", "pg_restore", "-U", "tracking", "-d", "tracking", str(dump))
    tar(services, "-xzf")
    services.up("object-store")


def upgrade(services: Apart) -> None:
    older, newest = services.run("mlflow", "python", "-c", OLDER).split()
    version = ("psql", "-U", "tracking", "-tAc", "SELECT version_num FROM alembic_version")
    assert services.run("mlflow", *version).strip() == older
    database = "postgresql+psycopg2:///tracking"
    services.run("mlflow", "mlflow", "db", "upgrade", database)
    services.run("mlflow", "python", "-m", "mlflow.server.auth", "db", "upgrade", "--url", database)
    assert services.run("mlflow", *version).strip() == newest


def tar(services: Apart, what: str, *names: str) -> None:
    state, archive = services.folder / "state", services.folder / "store.tgz"
    subprocess.run(["tar", "-C", str(state), what, str(archive), *names], check=True)
