"""The tests that damage files and configurations, with many other examples than `make test` tries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUZZED = (file for file in ROOT.glob("tests/**/test_*.py") if "@fuzzing(" in file.read_text())
FILES = sorted(str(file.relative_to(ROOT)) for file in FUZZED)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_other_examples(file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", file],
        cwd=ROOT,
        env={"FUZZ": "300", **os.environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
