"""The package in docs/extending.md: extracted, installed elsewhere, used by its own tests and by sweeps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prune_core.axes import AXES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
METHODS = re.findall(r"^# @package methods\.(\w+)$", PAGE.read_text(), re.MULTILINE)


def place(content: str) -> str:
    """The file that a block belongs to: the first line says it."""
    first = content.partition("\n")[0]
    if found := re.fullmatch(r"# @package (\w+)s\.(\w+)", first):
        return f"conf/{found[1]}/{found[2]}.yaml"
    found = re.fullmatch(r"# ([\w/]+\.\w+)", first)
    assert found, f"a block of {PAGE.name} begins with {first!r}, which names no file"
    return found[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source folder, beside the folder `installed` in which the package is installed."""
    folder = tmp_path_factory.mktemp("out_of_tree") / "source"
    for _, content in BLOCKS:
        file = folder / place(content)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if file.exists() else "") + content)  # a file may be told in several blocks
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run(folder, "-m", *install, "--target", str(folder.parent / "installed"), str(folder))
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What a Python prints that has this checkout and the installed package on its path, but not the sources."""
    path = os.pathsep.join([str(folder.parent / "installed"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    here = folder / "tests"  # where nothing but tests is found without being installed
    done = subprocess.run([sys.executable, *arguments], cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sweep(package: Path, root: Path, *overrides: str) -> str:
    """What a sweep prints that finds the package's methods."""
    found = ["debug=quick", f"hydra.searchpath=[file://{package}/conf]", f"storage.root={root}", *overrides]
    return run(package, str(ROOT / "sweeps" / "run.py"), *found)


def test_every_axis_has_an_example() -> None:
    named = {f"prune_core.{group}" for group in re.findall(r'entry-points\."prune_core\.(\w+)"', PAGE.read_text())}
    assert {registry.group for registry in AXES.values()} <= named
    assert len(METHODS) == len(AXES)


def test_a_sweep_is_planned_with_each_method(package: Path, tmp_path: Path) -> None:
    printed = sweep(package, tmp_path, "model=lenet_300_100", f"method=[{','.join(METHODS)}]", "dry_run=true")
    assert [method for method in METHODS if not re.search(rf"\b{method}\b", printed)] == []


def test_its_network_and_its_dataset_are_planned(package: Path, tmp_path: Path) -> None:
    rows = [f"{number / 90:.3f},{number % 7},{number % 3}" for number in range(90)]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    asked = ["model=residual_64", "dataset=table", f"datasets.table.path={tmp_path}/mine.csv", "method=unit"]
    printed = sweep(package, tmp_path, *asked, "dry_run=true")
    assert "unit sparsity=0.5 residual_64 table seed 0" in printed


@pytest.mark.slow
def test_its_own_tests_pass(package: Path) -> None:
    printed = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")
    assert re.search(r"^\d{3} passed", printed, re.MULTILINE)


@pytest.mark.slow
def test_a_sweep_finds_it_on_driver_and_workers(package: Path, tmp_path: Path) -> None:
    printed = sweep(package, tmp_path, "model=residual_64", f"method=[{','.join(METHODS)}]", "training.epochs=1")
    assert [method for method in METHODS if not re.search(rf"\b{method} ", printed)] == []
