"""Units that belong together, masks that silence them, and networks without them.

`channel_classes(model)` finds which units can only be removed together; `unit_masks(model, classes, removed)` silences
some of these classes; `shrink(model)` removes what is silent and checks that the outputs stay the same.
"""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.graph.agreement import check_agreement as check_agreement
    from prune_core.graph.classes import ChannelClasses as ChannelClasses
    from prune_core.graph.classes import Component as Component
    from prune_core.graph.copying import copy_of as copy_of
    from prune_core.graph.rule import Axes as Axes
    from prune_core.graph.rule import Call as Call
    from prune_core.graph.rule import Link as Link
    from prune_core.graph.rule import Traced as Traced
    from prune_core.graph.rule import register_rule as register_rule
    from prune_core.graph.shrinking import ShrinkError as ShrinkError
    from prune_core.graph.shrinking import ShrinkResult as ShrinkResult
    from prune_core.graph.shrinking import shrink as shrink
    from prune_core.graph.silencing import unit_masks as unit_masks
    from prune_core.graph.trace import channel_classes as channel_classes

_HOMES = {
    "Axes": "rule",
    "Call": "rule",
    "ChannelClasses": "classes",
    "Component": "classes",
    "Link": "rule",
    "ShrinkError": "shrinking",
    "ShrinkResult": "shrinking",
    "Traced": "rule",
    "channel_classes": "trace",
    "check_agreement": "agreement",
    "copy_of": "copying",
    "register_rule": "rule",
    "shrink": "shrinking",
    "unit_masks": "silencing",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
