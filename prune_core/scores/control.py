"""The control that every criterion has to beat."""

import hashlib

import numpy as np

from prune_core.scores.base import Scores, ScoringContext, unit_axis, weights_in_scope


def uniform(ctx: ScoringContext) -> Scores:
    """Random scores in [0, 1). Those of a layer depend on the seed and on its name alone, not on the other layers."""
    if ctx.granularity == "weight":
        shapes = {path: values.shape for path, values in weights_in_scope(ctx).items()}
    else:
        axes = {layer.name: (layer, unit_axis(layer)) for layer in ctx.layers}
        shapes = {name: (layer.kernel.shape[axis],) for name, (layer, axis) in axes.items() if axis is not None}
    return {name: _generator(ctx.seed, name).random(shape) for name, shape in shapes.items()}


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
