"""The entry point, without running a sweep."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import prune_core
import sweeps
from sweeps.run import main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["tensorflow", "keras", "ray", "mlflow", "sklearn", "pandas", "mlxtend", "matplotlib", "optuna", "scipy"]


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    "start",
    [[sys.executable, str(ROOT / "sweeps" / "run.py")], [sys.executable, "-m", "sweeps.run"]],
    ids=["file", "module"],
)
def test_all_ways_to_start_are_the_same(start: list[str], tmp_path: Path) -> None:
    done = run([*start, "dry_run=true", "dataset=digits"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *_ = done.stdout.splitlines()
    assert first == f"results go to {tmp_path}/outputs, MLflow runs to sqlite:///{tmp_path}/outputs/mlflow.db"
    assert second.endswith(": 5 trials of importance on 1 dense network")
    assert list(tmp_path.iterdir()) == []


def test_the_file_does_not_put_its_folder_into_the_path(tmp_path: Path) -> None:
    code = f"import runpy, sys; runpy.run_path({str(ROOT / 'sweeps' / 'run.py')!r}); print(sys.path[0])"
    done = run([sys.executable, "-c", code], tmp_path)
    assert done.stdout.strip() == str(ROOT)


def test_a_dry_run_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys; from sweeps.run import main;"
        f"code = main(['dry_run=true', 'method=[importance,rvsm]', 'storage.root={tmp_path}']);"
        f"print(json.dumps([code, [name for name in {HEAVY} if name in sys.modules]]))"
    )
    done = run([sys.executable, "-c", code], tmp_path)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_help_names_every_group_and_choice(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for word in (
        "method=",
        "lenet_300_100",
        "fashion_mnist",
        "optuna",
        "all_methods_small",
        "dry_run=true",
        "--cfg job",
    ):
        assert word in printed


def test_cfg_prints_what_was_composed_without_passwords(capsys: pytest.CaptureFixture) -> None:
    assert main(["--cfg", "job", "method=unit", "tracking.uri=http://me:secret@host:5000"]) == 0
    printed = capsys.readouterr().out
    assert "secret" not in printed
    config = yaml.safe_load(printed)
    assert config["methods"]["unit"]["score"] == "l2_norm"
    assert config["storage"]["root"] == "outputs"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m sweeps.run method=weight 'seeds=[0,1,2,3,4]' dry_run=true | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("results go to ")


def test_the_version_is_that_of_the_packages(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"prune-sweep {sweeps.__version__}\n"
    assert sweeps.__version__ == prune_core.__version__


def test_a_sweep_that_is_to_be_submitted_is_refused_before_its_data_are_looked_at(
    capsys: pytest.CaptureFixture,
) -> None:
    assert main(["compute=slurm", "method=unit", "dataset=npz", "datasets.npz.path=/nowhere.npz"]) == 2
    assert capsys.readouterr().err.startswith("error: compute=slurm is submitted, not run here: write submit before")
