"""Lazy faces of packages (PEP 562): a public name is found in its module when it is first used.

A process that plans or waits then does not import TensorFlow, MLflow or Hydra for a name that it never uses.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_face(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names are defined in its modules.

    Args:
        package: `__name__` of the package.
        homes: {public name: the module inside the package that defines it}.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted(homes)

    return find, names
