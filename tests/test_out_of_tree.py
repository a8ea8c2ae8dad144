"""The package in README's section "Adding to it": built, installed elsewhere, used by its own tests and by a sweep."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    "prune_activation.py": "# prune_activation.py\n",
    "pyproject.toml": "# pyproject.toml\n",
    "conf/method/activation.yaml": "# @package methods.activation\n",
    "test_activation.py": "# test_activation.py\n",
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source folder, beside the folder `installed` in which the package is installed."""
    folder = tmp_path_factory.mktemp("out_of_tree") / "source"
    blocks = re.findall(r"```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for name, beginning in FILES.items():
        (content,) = (block for block in blocks if block.startswith(beginning))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run(folder, "-m", *install, "--target", str(folder.parent / "installed"), ".")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What a Python prints that has this checkout and the installed package on its path, but not the sources."""
    path = os.pathsep.join([str(folder.parent / "installed"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(package: Path) -> None:
    printed = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_activation.py")
    assert re.search(r"^\d\d passed", printed, re.MULTILINE)


def test_a_sweep_finds_it_on_driver_and_workers(package: Path, tmp_path: Path) -> None:
    overrides = ["method=activation", f"hydra.searchpath=[file://{package}/conf]", "debug=quick", "model=lenet_300_100"]
    printed = run(package, str(ROOT / "sweeps" / "run.py"), *overrides, f"storage.root={tmp_path}")
    assert "activation sparsity=0.75" in printed
