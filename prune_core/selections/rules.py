"""Selections that look at one layer at a time."""

import numpy as np

from prune_core.errors import UserError
from prune_core.selections.base import SelectionContext, all_but_lowest, per_layer, value_for
from prune_core.selections.counts import count_of


def everything(ctx: SelectionContext) -> list[np.ndarray]:
    """Keep all."""
    return [np.ones(group.scores.shape, dtype=bool) for group in ctx.groups]


def fraction(ctx: SelectionContext) -> list[np.ndarray]:
    """Remove exactly floor(sparsity * n) of the n scores of each group, as `all_but_lowest` does.

    What was removed before is part of both n and what is removed.
    """
    return [
        all_but_lowest(group.ranked(), count_of(value_for(ctx.parameters["sparsity"], group), group.scores.size))
        for group in ctx.groups
    ]


def absolute(ctx: SelectionContext) -> list[np.ndarray]:
    """Remove what scores below `threshold`."""
    return per_layer(ctx, lambda scores, threshold: scores.astype(np.float64) >= threshold, "threshold")


def mean_relative(ctx: SelectionContext) -> list[np.ndarray]:
    """Remove what scores below `threshold` times the mean of the group's scores; nothing if all of them are zero.

    The bound is lowered by 1e-12 of itself: the rounded mean of equal scores can lie above every one of them.

    Raises:
        UserError: an infinite score, beside which no mean makes sense.
    """
    return per_layer(ctx, _above_part_of_mean, "threshold")


def _above_part_of_mean(scores: np.ndarray, threshold: float) -> np.ndarray:
    exact = scores.astype(np.float64)
    mean = exact.mean() if exact.size else 0.0
    if not np.isfinite(mean):
        raise UserError("selection=mean_relative needs finite scores and one is infinite: use selection=fraction")
    return exact >= threshold * mean * (1 - 1e-12)
