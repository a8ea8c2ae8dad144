"""Sweeps as a user starts them, small enough for tests."""

import subprocess
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient

from prune_core.spec import METHODS as REGISTERED

ROOT = Path(__file__).parents[2]
METHODS = sorted(REGISTERED)
EVERY_METHOD = f"method=[{','.join(METHODS)}]"
SMALL = ("model=lenet_300_100", "debug=quick", "training.epochs=8")
TIMEOUT_S = 300


def sweep(root: Path, *overrides: str) -> subprocess.CompletedProcess:
    """Run the command line to its end."""
    command = [sys.executable, "sweeps/run.py", *overrides, f"storage.root={root}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)


def client_of(root: Path) -> MlflowClient:
    """A client of the database under a storage root."""
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def runs_of(root: Path, kind: str) -> list:
    """All runs of one kind (sweep, baseline, trial)."""
    client = client_of(root)
    experiment = client.get_experiment_by_name("prune-sweep")
    return client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'", max_results=1000)
