"""What is removed together: single weights, or whole units.

To add one, write a function `(ctx: ScoringContext, scores) -> Grouping` in a file of this folder and name it below.
Other packages add theirs through the entry-point group "prune_core.granularities", which points at a `Granularity`.
"""

from typing import TYPE_CHECKING

from prune_core.axes import GRANULARITIES as GRANULARITIES
from prune_core.axes import Granularity as Granularity
from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.granularities.base import Group as Group
    from prune_core.granularities.base import Grouping as Grouping
    from prune_core.granularities.base import Masks as Masks

_HOMES = {"Group": "base", "Grouping": "base", "Masks": "base"}
__all__ = ["GRANULARITIES", "Granularity", *_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)

for _granularity in (
    Granularity("weight", "prune_core.granularities.weight:single_weights", scored_as="weight"),
    Granularity("unit", "prune_core.granularities.unit:coupled_units", scored_as="unit", removes=True),
):
    GRANULARITIES.register(_granularity.name, _granularity)
