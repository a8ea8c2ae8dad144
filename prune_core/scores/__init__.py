"""Pruning criteria: how much does each weight or unit matter?

To add one, write a function `(ctx: ScoringContext) -> {name: array}` in a file of this folder and register it below.
Other packages add theirs through the entry-point group "prune_core.scores", which points at a `Score`.
"""

from prune_core.relevance.starts import STARTS
from prune_core.scores.base import (
    SCORES,
    Score,
    Scores,
    ScoringContext,
    along_units,
    kernel_columns,
    unit_axis,
    weights_in_scope,
)
from prune_core.scores.control import uniform
from prune_core.scores.norms import l1_norm, l2_norm, magnitude

__all__ = [
    "SCORES",
    "STARTS",
    "Score",
    "Scores",
    "ScoringContext",
    "along_units",
    "kernel_columns",
    "unit_axis",
    "weights_in_scope",
]


def _importance(ctx: ScoringContext) -> Scores:
    from prune_core.scores.importance import importance  # imports TensorFlow

    return importance(ctx)


for _score in (
    Score("magnitude", magnitude, ("weight",)),
    Score("l1_norm", l1_norm, ("unit",)),
    Score("l2_norm", l2_norm, ("unit",)),
    Score("random", uniform, ("weight", "unit")),
    Score("importance", _importance, ("unit",), True, options=("start",), choices={"start": STARTS}, version=2),
):
    SCORES.register(_score.name, _score)
