"""The database file of MLflow on this machine: made whole or not at all, by one process at a time."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from prune_core.files import sync_folder

_LOCK_TIMEOUT_S = 60


@contextmanager
def opening(file: Path | None) -> Iterator[None]:
    """While entered, MLflow may open its database. If it is this file, it exists then, and nobody else migrates it."""
    with ExitStack() as stack:
        stack.enter_context(_quiet_migrations())
        if file is not None:
            stack.enter_context(FileLock(f"{file}.lock", timeout=_LOCK_TIMEOUT_S))
            _create(file)
        yield


def _create(file: Path) -> None:
    """MLflow creates a database in many steps, and takes up no half of them."""
    from mlflow.tracking import MlflowClient

    if file.exists() and file.stat().st_size:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    for left in (new, Path(f"{new}-journal"), Path(f"{file}-journal")):
        left.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
    new.replace(file)  # SQLite has synced its content
    sync_folder(file.parent)


@contextmanager
def _quiet_migrations() -> Iterator[None]:
    """Creating a database is not worth forty log lines."""
    logger = logging.getLogger("alembic")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
