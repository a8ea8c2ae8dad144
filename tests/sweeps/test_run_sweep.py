"""The command line with real Ray, real training and real MLflow: exit codes, and what a second run does."""

import csv
import subprocess
import sys
from pathlib import Path


def sweep(root: Path, *overrides: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "sweeps.run",
        "debug=quick",
        "compute.num_cpus=2",
        f"storage.root={root}",
        *overrides,
    ]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)


def test_a_sweep_is_finished_and_the_same_command_repeats_nothing(tmp_path: Path) -> None:
    first = sweep(tmp_path, "method=[unit,importance]")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0] == f"results go to {tmp_path}, MLflow runs to sqlite:///{tmp_path}/mlflow.db"
    assert any(line.startswith("look at it: ") for line in lines)
    (results,) = (tmp_path / "sweeps").glob("*/results.csv")
    with results.open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["method"] for row in rows) == ["importance", "unit"]
    assert all(row["run_id"] for row in rows)

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    second = sweep(tmp_path, "method=[unit,importance]")
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.count(", cached") == 3
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == written


def test_a_baseline_that_diverges_is_said_and_blocks_its_trials(tmp_path: Path) -> None:
    done = sweep(tmp_path, "method=unit", "training.learning_rate=1.0e+30")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "failed" in done.stdout
    assert "blocked" in done.stdout
