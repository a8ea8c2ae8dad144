"""Relevance propagated from a network's outputs back to its units and inputs, on any graph of Keras layers.

A unit matters as much as it contributes, through absolute weights and activations, to the outputs of the training set.
Relevance starts with the same amount at each output of every sample, or in proportion to the outputs (`start`).
"""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.relevance.propagation import Relevance as Relevance
    from prune_core.relevance.propagation import propagate as propagate
    from prune_core.relevance.rules import in_proportion as in_proportion
    from prune_core.relevance.rules import register_relevance_rule as register_relevance_rule
    from prune_core.relevance.rules import routed as routed
    from prune_core.relevance.rules import unchanged as unchanged
    from prune_core.relevance.starts import STARTS as STARTS
    from prune_core.relevance.steps import RelevanceStep as RelevanceStep

_HOMES = {
    "STARTS": "starts",
    "Relevance": "propagation",
    "RelevanceStep": "steps",
    "in_proportion": "rules",
    "propagate": "propagation",
    "register_relevance_rule": "rules",
    "routed": "rules",
    "unchanged": "rules",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
