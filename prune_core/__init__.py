"""Pruning of Keras 3 networks: criteria, masks, physical removal of units, weight sharing, and honest measurement.

    >>> import prune_core
    >>> result = prune_core.prune(model, method="importance", data=x, threshold=0.5)
    >>> result.model, result.masks, result.figures

TensorFlow is imported when a name that needs it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "MethodSpec": "spec",
    "PruneResult": "pipeline",
    "UserError": "errors",
    "decode": "codec",
    "encode": "codec",
    "load_masks": "masks.files",
    "prune": "pipeline",
    "prune_units": "bare_layer",
    "prune_weights": "bare_layer",
    "save_masks": "masks.files",
    "shrink": "graph",
}

__version__ = "0.1.0"
"""Of the distribution prune-sweep, which holds prune_core and sweeps; pyproject.toml reads it here."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"prune_core.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
