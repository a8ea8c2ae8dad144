"""Where the results go: what `tracking.uri` stands for. Nothing here imports MLflow."""

import os
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.config.settings import TrackingSettings
from sweeps.redact import redact

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""{scheme of a database server: its usual port}."""
_SCHEMES = ("http", "https", "sqlite", "databricks", *DATABASE_PORTS)
_NOT_IN_A_PATH = re.compile(r"[%?#\x00-\x1f\x7f]")
MOVE_IT_AWAY = (
    "move it away, that is enough: all results are in the store, and the same command delivers them to a new one"
)


@dataclass(frozen=True)
class Target:
    """A resolved place for runs.

    Attributes:
        uri: for MLflow; may hold a password, so print `shown` instead.
        experiment: name of the experiment.
        artifact_location: of a new experiment; None: the server decides.
    """

    uri: str
    experiment: str
    artifact_location: str | None

    @property
    def shown(self) -> str:
        """The uri without its credentials."""
        return redact(self.uri)

    @property
    def scheme(self) -> str:
        """Lower-case scheme without a driver: "postgresql" of postgresql+psycopg2://..."""
        return urllib.parse.urlsplit(self.uri).scheme.partition("+")[0].lower()

    @property
    def sqlite_file(self) -> Path | None:
        """The database file, if it is one on this machine."""
        if self.scheme != "sqlite":
            return None
        path = re.fullmatch(r"[^:]+:///([^?]+).*", self.uri, re.DOTALL)
        return Path(urllib.parse.unquote(path[1])) if path and path[1] != ":memory:" else None


@dataclass(frozen=True)
class Place:
    """Where a sweep is found in MLflow; the ids are "" as long as the server has not been reached."""

    target: Target
    experiment_id: str = ""
    parent_id: str = ""


class Unreachable(Exception):
    """The tracking server does not take results now; may pass by itself. The message is a clause."""


def sqlite_uri(file: Path) -> str:
    """The address of a database file, as SQLAlchemy reads addresses: `%` begins a character's code, `?` the options."""
    path = _NOT_IN_A_PATH.sub(lambda sign: urllib.parse.quote(sign[0]), str(file))
    # Without the driver's name MLflow makes a folder of the path as it is written here.
    return f"sqlite:///{path}" if path == str(file) else f"sqlite+pysqlite:///{path}"


def resolve(tracking: TrackingSettings, root: Path) -> Target:
    """The place that the settings mean: their uri, or a database file under `root`.

    Raises:
        UserError: a uri that cannot hold what a sweep writes.
    """
    root = root.resolve()
    uri = tracking.uri or sqlite_uri(root / "mlflow.db")
    target = Target(uri, tracking.experiment, tracking.artifact_location)
    if target.scheme in ("", "file") or (len(target.scheme) == 1 and os.name == "nt"):
        raise UserError(
            f"tracking.uri={target.shown} is a folder, which MLflow no longer takes: write sqlite:///folder/mlflow.db, "
            "http://host:port, or leave it out for a database in storage.root"
        )
    if target.scheme not in _SCHEMES:
        raise UserError(
            f"tracking.uri={target.shown} is not of a kind that MLflow takes: {closest(target.scheme, _SCHEMES)}"
        )
    if target.scheme == "sqlite":
        if target.sqlite_file is None:
            raise UserError(f"tracking.uri={target.shown} names no file: write sqlite:///folder/mlflow.db")
        if "?" in uri:
            raise UserError(
                f"tracking.uri={target.shown} has options after the ?, which are not used: leave them out, and write "
                "%3F for a ? in a name"
            )
        uri = sqlite_uri(target.sqlite_file.expanduser().resolve())
        target = Target(uri, tracking.experiment, _location(tracking.artifact_location or str(root / "artifacts")))
    return target


def _location(place: str) -> str:
    """A folder as an address; an address as it is."""
    return place if "://" in place else Path(place).expanduser().resolve().as_uri()
