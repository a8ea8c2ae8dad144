"""Importance of units: the relevance that goes through them from the inputs to the outputs."""

import keras
import numpy as np

from prune_core.relevance import propagate
from prune_core.scores.base import Scores, ScoringContext
from prune_core.units import unit_axis
from prune_core.weights import kernel_attributes, leaf_layers


def importance(ctx: ScoringContext) -> Scores:
    """Mean relevance over the samples `ctx.x` of each unit; for a filter, the sum over its positions.

    `ctx.options["start"]` says how relevance starts at the outputs, as in `propagate`: "uniform" (the usual one) or
    "output".

    Adds to `ctx.by_products`:
        input_relevance: mean relevance of each input element, shape of one sample.
        relevance_health: largest deviation of a sample's relevance from 1, shape ().
        relevance_lost: names of the steps at which more than 1 % of all relevance ended (dead layers), shape (steps,).

    Raises:
        UserError: what `propagate` raises.
    """
    assert ctx.x is not None  # Score.__call__ has seen to it
    relevance = propagate(ctx.model, ctx.x, ctx.batch_size, **ctx.options)
    ctx.by_products["input_relevance"] = relevance.inputs
    ctx.by_products["relevance_health"] = np.array(relevance.health)
    ctx.by_products["relevance_lost"] = np.array(sorted(relevance.lost), dtype=str)
    steps = _steps_by_kernel(ctx.model)
    return {
        layer.name: np.sum([relevance.channels[step] for step in steps[id(layer.kernel)]], axis=0)
        for layer in ctx.layers
        if unit_axis(layer) is not None
    }


def _steps_by_kernel(model: keras.Model) -> dict[int, list[str]]:
    """{id of a kernel: names of the layers that use it}, several for one that layers share."""
    steps: dict[int, list[str]] = {}
    for name, layer in leaf_layers(model):
        for attribute in kernel_attributes(layer):
            steps.setdefault(id(getattr(layer, attribute)), []).append(name)
    return steps
