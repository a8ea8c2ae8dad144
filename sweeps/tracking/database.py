"""The database file of MLflow on this machine: made completely or not at all, by one process at a time."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from prune_core.files import sync_folder
from sweeps.tracking.health import probe
from sweeps.tracking.target import MOVE_IT_AWAY, Target, Unreachable, sqlite_uri

_LOCK_TIMEOUT_S = 60
# The tables that we need, and the last one that MLflow 3.17 makes.
_TABLES = {"alembic_version", "experiments", "runs", "metrics", "params", "tags", "logged_models", "job_locks"}


@contextmanager
def opening(file: Path | None) -> Iterator[None]:
    """While entered, MLflow may open its database. If it is this file, it exists then, and nobody else migrates it."""
    with ExitStack() as stack:
        stack.enter_context(_quiet_migrations())
        if file is not None:
            stack.enter_context(FileLock(f"{file}.lock", timeout=_LOCK_TIMEOUT_S))
            _create(file)
        yield


def check(target: Target) -> None:
    """Ask in a few seconds whether a place takes runs; a database that MLflow has left half made is completed.

    Raises:
        Unreachable: it takes no runs, see `sweeps.tracking.health.probe`, or MLflow cannot complete the database.
    """
    probe(target)
    if target.sqlite_file is not None:
        _complete(target.uri, target.sqlite_file)


def _complete(uri: str, file: Path) -> None:
    if not file.exists() or not file.stat().st_size or _is_complete(file):
        return
    from mlflow.tracking import MlflowClient

    try:
        with opening(file):
            MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    except Timeout:  # another process is making it
        return
    except Exception as error:  # of MLflow, Alembic, SQLAlchemy or SQLite
        if isinstance(error, OSError) or "disk is full" in str(error):  # not the file's fault, and reported later
            return
        reason = str(error).strip().splitlines()[0].removeprefix("(sqlite3.OperationalError) ")
        raise Unreachable(f"{file} is half made and MLflow cannot complete it ({reason}): {MOVE_IT_AWAY}") from None


def _is_complete(file: Path) -> bool:
    connection = sqlite3.connect(file.as_uri() + "?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        return tables >= _TABLES and bool(connection.execute("select 1 from alembic_version").fetchone())
    except sqlite3.OperationalError:  # somebody is writing
        return True
    finally:
        connection.close()


def _create(file: Path) -> None:
    """MLflow creates a database in many steps, and cannot always go on from a half-made one."""
    from mlflow.tracking import MlflowClient

    if file.exists() and file.stat().st_size:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    for left in (new, Path(f"{new}-journal"), Path(f"{file}-journal")):
        left.unlink(missing_ok=True)
    MlflowClient(tracking_uri=sqlite_uri(new)).search_experiments(max_results=1)
    new.replace(file)  # SQLite has synced its content
    sync_folder(file.parent)


@contextmanager
def _quiet_migrations() -> Iterator[None]:
    """Without this, creating a database prints forty log lines."""
    logger = logging.getLogger("alembic")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
