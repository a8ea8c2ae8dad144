"""Which of all the layers' scores are too low.

To add one, write a function `(ctx: SelectionContext) -> [bool array, ...]`, one array for each of `ctx.groups`, True =
kept, and name it below; `per_layer` makes one of a rule for single layers. Other packages add theirs through the
entry-point group "prune_core.selections", which points at a `Selection`.
"""

from typing import TYPE_CHECKING

from prune_core.axes import SELECTIONS as SELECTIONS
from prune_core.axes import Selection as Selection
from prune_core.entries import Parameter
from prune_core.faces import lazy_face
from prune_core.selections.counts import count_of as count_of
from prune_core.selections.counts import nearest_count as nearest_count

if TYPE_CHECKING:
    from prune_core.selections.base import SelectionContext as SelectionContext
    from prune_core.selections.base import all_but_lowest as all_but_lowest
    from prune_core.selections.base import per_layer as per_layer
    from prune_core.selections.base import select as select
    from prune_core.selections.base import value_for as value_for

_HOMES = {
    "SelectionContext": "base",
    "all_but_lowest": "base",
    "per_layer": "base",
    "select": "base",
    "value_for": "base",
}
__all__ = ["SELECTIONS", "Selection", "count_of", "nearest_count", *_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)

_HERE = "prune_core.selections"
_SHARE = Parameter(low=0, high=1, open_high=True)
_SHARES = Parameter(low=0, high=1, open_high=True, per_layer="pruned")
_BOUND = Parameter(low=0, open_high=True)

for _selection in (
    Selection("none", f"{_HERE}.rules:everything", needs_scores=False),
    Selection(
        "fraction",
        f"{_HERE}.rules:fraction",
        parameters={"sparsity": _SHARES},
        amount="sparsity",
        count=count_of,
    ),
    Selection("absolute", f"{_HERE}.rules:absolute", parameters={"threshold": _BOUND}, amount="threshold"),
    Selection("mean_relative", f"{_HERE}.rules:mean_relative", parameters={"threshold": _BOUND}, amount="threshold"),
    Selection("global", f"{_HERE}.ranking:one_ranking", parameters={"sparsity": _SHARE}, amount="sparsity"),
    Selection("erk", f"{_HERE}.erk:erdos_renyi_kernel", parameters={"sparsity": _SHARE}, amount="sparsity"),
):
    SELECTIONS.register(_selection.name, _selection)
