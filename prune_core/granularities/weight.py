"""Single weights: every kernel, and every bias that is pruned as well, is a group of its own."""

from collections.abc import Mapping, Sequence

import numpy as np

from prune_core.granularities.base import Group, Grouping, Masks
from prune_core.scores.base import ScoringContext


def single_weights(ctx: ScoringContext, scores: Mapping[str, np.ndarray]) -> Grouping:
    """One group a weight array of `scores`, whose keys are weight paths."""
    owners = {path: layer for layer in ctx.layers for path in (layer.path, layer.bias_path) if path}
    groups = [
        Group(path, score, ~ctx.masks.get(path, np.ones(np.shape(score), bool)), (owners[path],))
        for path, score in scores.items()
    ]

    def masks(kept: Sequence[np.ndarray]) -> Masks:
        return dict(zip(scores, kept, strict=True))

    return Grouping(groups, masks)
