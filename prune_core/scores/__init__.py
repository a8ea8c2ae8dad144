"""Pruning criteria: how much does each weight or unit matter?

To add one, write a function `(ctx: ScoringContext) -> {name: array}` in a file of this folder and name it below.
Other packages add theirs through the entry-point group "prune_core.scores", which points at a `Score`.
"""

from prune_core.axes import SCORES, Score
from prune_core.entries import Parameter
from prune_core.relevance.starts import STARTS
from prune_core.scores.base import Scores, ScoringContext, along_units, kernel_columns, unit_axis, weights_in_scope

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

_HERE = "prune_core.scores"
_START = Parameter("choice", choices=STARTS, default=STARTS[0], is_keyed=True)

for _score in (
    Score("magnitude", f"{_HERE}.norms:magnitude", ("weight",)),
    Score("l1_norm", f"{_HERE}.norms:l1_norm", ("unit",)),
    Score("l2_norm", f"{_HERE}.norms:l2_norm", ("unit",)),
    Score("lamp", f"{_HERE}.norms:lamp", ("weight",)),
    Score("random", f"{_HERE}.control:uniform", ("weight", "unit")),
    Score(
        "importance",
        f"{_HERE}.importance:importance",
        ("unit",),
        parameters={"start": _START},
        needs_data=True,
        passes=1,
        version=2,
    ),
):
    SCORES.register(_score.name, _score)
