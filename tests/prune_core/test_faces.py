"""The public names of prune_core's packages: found when used, seen by type checkers, and cheap until then."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

import prune_core
from prune_core.testing.fresh import plans_lightly

ROOT = Path(prune_core.__file__).parent
LAZY = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if "lazy_face(" in path.read_text())


def for_type_checkers(source: str) -> dict[str, str]:
    """{public name: module} of the imports under TYPE_CHECKING."""
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or "": node.module or "" for node in imports for alias in node.names}


def test_the_packages_are_found() -> None:
    assert {"codec", "graph", "masks", "measure", "network", "relevance", "tasks"} <= set(LAZY)


@pytest.mark.parametrize("package", LAZY)
def test_a_lazy_face_gives_what_it_names(package: str) -> None:
    face = importlib.import_module(f"prune_core.{package}")
    modules = {path.stem for path in (ROOT / package).glob("*.py")}
    assert not modules & set(face.__all__), "a name would be hidden by the module of that name"
    assert set(dir(face)) == set(face._HOMES) <= set(face.__all__)
    for name in face.__all__:
        assert not isinstance(getattr(face, name), ModuleType)
    seen = for_type_checkers((ROOT / package / "__init__.py").read_text())
    assert seen == {name: f"prune_core.{package}.{module}" for name, module in face._HOMES.items()}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        face.nothing  # noqa: B018


def test_a_face_loads_no_tensorflow() -> None:
    plans_lightly("\n".join(f"import prune_core.{package}" for package in LAZY))
