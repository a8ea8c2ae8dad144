"""One real sweep that several files of tests look at."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.sweeps.real_sweep import EVERY_METHOD, SMALL, sweep


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, CompletedProcess]:
    """(storage root, the ended process) of one sweep over every method, on an MLP."""
    root = tmp_path_factory.mktemp("sweep")
    done = sweep(root, EVERY_METHOD, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done
