"""Whole sweeps in surroundings that are not a developer's: as batch systems, containers and pipes make them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient

from sweeps.config import override
from sweeps.engine.orphans import folder_of
from sweeps.tracking.target import sqlite_uri

ROOT = Path(__file__).parents[2]
QUICK = (
    "method=weight",
    "sparsities=[0.5]",
    "dataset=digits",
    "model=lenet_300_100",
    "debug=quick",
    "measure.latency=false",
)
RUNS = ["baseline", "sweep", "trial"]


def command(root: Path, *start: str) -> list[str]:
    return [sys.executable, *(start or ["sweeps/run.py"]), *QUICK, override("storage.root", str(root))]


def finished(root: Path) -> tuple[MlflowClient, dict[str, str]]:
    """The database under a root, and {kind: id} of its runs, which must all be finished."""
    client = MlflowClient(sqlite_uri(root / "mlflow.db"))
    experiment = client.get_experiment_by_name("prune-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    kinds = {run.data.tags["kind"]: run.info.run_id for run in runs}
    assert sorted(kinds) == RUNS
    return client, kinds


def test_odd_names_a_long_temporary_folder_no_home_no_output_and_strict_warnings(tmp_path: Path) -> None:
    root = tmp_path / "job%2Fbranch a%20b?c #é;'x'"
    long = tmp_path / "scratch of the job" / ("0123456789" * 4)
    long.mkdir(parents=True)
    (tmp_path / "keras.json").write_text('{"floatx": "no such type"}')
    around = {
        "TMPDIR": str(long),
        "HOME": "/dev/null/me",
        "KERAS_HOME": str(tmp_path),
        "KERAS_BACKEND": "jax",
        "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "ascii",
    }
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_TMPDIR", "XDG_CACHE_HOME")}
    environment |= around
    closed = ["bash", "-c", '"$@" <&- >&-', "bash", *command(root)]
    done = subprocess.run(closed, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"{long} has a longer path than Ray's sockets allow" in done.stderr
    assert "Ray's own files go to /tmp" in done.stderr
    client, kinds = finished(root)
    assert Path(client.download_artifacts(kinds["trial"], "masks.npz", str(tmp_path))).stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {root.name, "scratch of the job", "keras.json", "masks.npz"}
    (sweep,) = (root / "sweeps").iterdir()
    assert not folder_of(sweep).exists()
    deliver = [sys.executable, "sweeps/report.py", "deliver", f"storage.root={root}"]
    done = subprocess.run(deliver, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "0 delivered to sqlite+pysqlite:" in done.stdout


def test_a_reader_that_leaves_early_ends_nothing(tmp_path: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, tmp_path)
    light = command(tmp_path, "-m", "tests.helpers.light")  # the driver prints, whatever its workers do
    pipe = ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "bash", *light]
    done = subprocess.run(pipe, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("results go to ")
    assert done.stdout.count("\n") == 1
    finished(tmp_path)
