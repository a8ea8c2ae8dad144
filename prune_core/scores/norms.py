"""Criteria that look at nothing but the size of the weights."""

import numpy as np

from prune_core.scores.base import Scores, ScoringContext, kernel_columns, weights_in_scope


def magnitude(ctx: ScoringContext) -> Scores:
    """|w| of every weight (Han et al. 2015, "Learning both weights and connections")."""
    return {path: np.abs(values) for path, values in weights_in_scope(ctx).items()}


def l1_norm(ctx: ScoringContext) -> Scores:
    """Sum of |w| over each unit's kernel, bias left out (Li et al. 2017, "Pruning filters for efficient convnets")."""
    return _unit_norms(ctx, order=1)


def l2_norm(ctx: ScoringContext) -> Scores:
    """Euclidean norm of the kernel of each unit, bias left out."""
    return _unit_norms(ctx, order=2)


def _unit_norms(ctx: ScoringContext, order: int) -> Scores:
    columns = {layer.name: kernel_columns(layer) for layer in ctx.layers}
    return {name: np.linalg.norm(column, ord=order, axis=0) for name, column in columns.items() if column is not None}
