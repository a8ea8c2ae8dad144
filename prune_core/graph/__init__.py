"""Units that belong together, masks that silence them, and networks without them.

`channel_classes(model)` finds which units can only be removed together; `unit_masks(model, classes, removed)` silences
some of these classes; `shrink(model)` removes what is silent and checks that the outputs stay the same.
"""

from prune_core.graph.classes import ChannelClasses, Component
from prune_core.graph.rule import Axes, Call, Link, Traced, register_rule
from prune_core.graph.shrink import ShrinkError, ShrinkResult, shrink
from prune_core.graph.trace import channel_classes
from prune_core.graph.unit_masks import unit_masks

__all__ = [
    "Axes",
    "Call",
    "ChannelClasses",
    "Component",
    "Link",
    "ShrinkError",
    "ShrinkResult",
    "Traced",
    "channel_classes",
    "register_rule",
    "shrink",
    "unit_masks",
]
