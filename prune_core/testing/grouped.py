"""Scores of a network in groups, as selections get them and granularities make them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from prune_core.axes import GRANULARITIES
from prune_core.granularities import Grouping
from prune_core.scores import Scores, ScoringContext, unit_axis
from prune_core.testing.entries import all_settings
from prune_core.testing.networks import samples
from prune_core.weights import PrunableLayer, scope


def scoring_context(
    network: keras.Model, scored_as: str, masks: dict[str, np.ndarray] | None = None, **changes: Any
) -> ScoringContext:
    """What scores and granularities get of a network, its output layer left out."""
    x, y = samples()
    fields = {"layers": scope(network, prune_output=False), "x": x, "y": y, "seed": 0, **changes}
    return ScoringContext(network, granularity=scored_as, dense=network, masks=masks or {}, **fields)


def random_scores(ctx: ScoringContext, seed: int = 0) -> Scores:
    """A number in (0, 1) for every weight or unit in scope, no two equal."""
    generator = np.random.default_rng(seed)
    shapes = score_shapes(ctx.layers, ctx.granularity, ctx.include_biases)
    return {name: 0.01 + 0.98 * generator.random(shape) for name, shape in shapes.items()}


def grouped(
    network: keras.Model,
    granularity: str,
    masks: dict[str, np.ndarray] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Grouping:
    """The groups of random scores of a network."""
    entry = GRANULARITIES.get(granularity)
    ctx = scoring_context(network, entry.scored_as, masks, parameters=all_settings(entry, parameters or {}))
    return entry.load()(ctx, random_scores(ctx))  # type: ignore[no-any-return]


def score_shapes(
    layers: list[PrunableLayer], granularity: str, include_biases: bool = False
) -> dict[str, tuple[int, ...]]:
    """{name: shape} of what a score has to give."""
    if granularity == "weight":
        shapes = {layer.path: tuple(layer.kernel.shape) for layer in layers}
        biases = {layer.bias_path: tuple(layer.bias.shape) for layer in layers if layer.bias is not None}
        return shapes | ({path: shape for path, shape in biases.items() if path} if include_biases else {})
    axes = ((layer, unit_axis(layer)) for layer in layers)
    return {layer.name: (layer.kernel.shape[axis],) for layer, axis in axes if axis is not None}
