"""The faces of packages: what they export is there, is all that other packages import, and costs nothing to import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [".".join(file.parent.relative_to(ROOT).parts) for file in sorted((ROOT / "sweeps").rglob("__init__.py"))]
FACES = [package for package in PACKAGES if "__all__" in (ROOT / package.replace(".", "/") / "__init__.py").read_text()]
HEAVY = {
    "tensorflow",
    "keras",
    "ray",
    "mlflow",
    "hydra",
    "omegaconf",
    "optuna",
    "matplotlib",
    "sklearn",
    "pandas",
    "rich",
}
SETTINGS = "sweeps.config.settings"
"""Imported as a module: workers import no more of the configuration than this."""


def modules_of(package: str) -> set[str]:
    folder = ROOT / package.replace(".", "/")
    return {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}


def imports() -> Iterator[tuple[str, str, str]]:
    """(file, module, name) of every `from module import name` in sweeps."""
    for file in sorted((ROOT / "sweeps").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from ((str(file.relative_to(ROOT)), node.module, name.name) for name in node.names)


@pytest.mark.parametrize("package", FACES)
def test_every_name_of_a_face_is_there_and_hides_no_module(package: str) -> None:
    face = import_module(package)
    assert not set(face.__all__) & modules_of(package)
    assert [name for name in face.__all__ if not hasattr(face, name)] == []
    assert set(face.__all__) <= set(dir(face))


@pytest.mark.parametrize("package", FACES)
def test_type_checkers_see_the_same_names(package: str) -> None:
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
    seen = {name.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert seen - {None} == set(import_module(package).__all__)


def test_importing_a_face_imports_no_heavy_library() -> None:
    code = f"import sys, {', '.join(PACKAGES)}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_other_packages_import_is_public() -> None:
    past_the_face = [
        f"{file}: {name} of {module}"
        for file, module, name in imports()
        if module.count(".") >= 2 and module.startswith("sweeps.") and module != SETTINGS
        if not file.startswith("/".join(module.split(".")[:2]) + "/")
        if name not in modules_of(".".join(module.split(".")[:2]))
    ]
    assert past_the_face == []
