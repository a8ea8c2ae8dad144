"""What several files of tests look at or begin with."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.helpers.drivers import client_of
from tests.helpers.real_sweep import EVERY_METHOD, SMALL, sweep


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, CompletedProcess]:
    """(storage root, the ended process) of one sweep over every method, on an MLP."""
    root = tmp_path_factory.mktemp("sweep")
    done = sweep(root, EVERY_METHOD, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A database without runs: MLflow takes two seconds to make one."""
    folder = tmp_path_factory.mktemp("empty")
    client_of(folder).search_experiments()
    return folder / "mlflow.db"
