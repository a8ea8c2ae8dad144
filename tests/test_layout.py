"""tests/ mirrors the tree: the tests of a package are found by its name."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FILES = sorted(file.relative_to(TESTS) for file in TESTS.rglob("*.py"))
ENTRIES = {Path("mutations.py")}
"""Programs that a person starts."""


@pytest.mark.parametrize("package", ["prune_core", "sweeps"])
def test_the_folder_of_a_test_is_the_name_of_a_package(package: str) -> None:
    folders = {file.parent for file in FILES if file.parts[0] == package and file.name.startswith("test_")}
    assert folders
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_what_is_no_test_is_a_helper_or_a_benchmark() -> None:
    others = {file for file in FILES if not file.name.startswith("test_") and file.name != "conftest.py"}
    assert [str(file) for file in others - ENTRIES if file.parts[0] not in ("helpers", "benchmarks")] == []


def test_helpers_and_benchmarks_hold_no_tests() -> None:
    """Nobody would look for them there."""
    inside = [file for file in FILES if file.parts[0] in ("helpers", "benchmarks")]
    assert inside
    assert [str(file) for file in inside if file.name.startswith("test_") or file.name == "conftest.py"] == []
