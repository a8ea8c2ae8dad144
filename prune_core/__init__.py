"""Pruning of Keras 3 networks: criteria, masks, physical removal of units, weight sharing, and honest measurement.

    >>> import prune_core
    >>> result = prune_core.prune(model, method="importance", data=x, threshold=0.5)
    >>> result.model, result.masks, result.figures

TensorFlow is imported when a name that needs it is first used.
"""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.bare_layer import prune_units as prune_units
    from prune_core.bare_layer import prune_weights as prune_weights
    from prune_core.codec import decode as decode
    from prune_core.codec import encode as encode
    from prune_core.errors import UserError as UserError
    from prune_core.graph import shrink as shrink
    from prune_core.masks import load_masks as load_masks
    from prune_core.masks import save_masks as save_masks
    from prune_core.pipeline import PruneResult as PruneResult
    from prune_core.pipeline import prune as prune
    from prune_core.spec import MethodSpec as MethodSpec

__version__ = "0.1.0"
"""Of the distribution prune-sweep, which holds prune_core and sweeps; pyproject.toml reads it here."""

_HOMES = {
    "MethodSpec": "spec",
    "PruneResult": "pipeline",
    "UserError": "errors",
    "decode": "codec",
    "encode": "codec",
    "load_masks": "masks",
    "prune": "pipeline",
    "prune_units": "bare_layer",
    "prune_weights": "bare_layer",
    "save_masks": "masks",
    "shrink": "graph",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
