"""Criteria that look at nothing but the size of the weights."""

import numpy as np

from prune_core.scores.base import Scores, ScoringContext, kernel_columns, weights_in_scope


def magnitude(ctx: ScoringContext) -> Scores:
    """|w| of every weight (Han et al. 2015, "Learning both weights and connections")."""
    return {path: np.abs(values) for path, values in weights_in_scope(ctx).items()}


def lamp(ctx: ScoringContext) -> Scores:
    """w^2 over the sum of w^2 of its layer's weights that are not smaller; comparable between layers.

    Lee et al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning" (arXiv:2010.07611). Of equal
    weights the one that comes first counts as the smaller one. Weights that are zero score 0.
    """
    return {path: _lamp(values) for path, values in weights_in_scope(ctx).items()}


def _lamp(values: np.ndarray) -> np.ndarray:
    squares = np.square(values.astype(np.float64)).ravel()
    order = np.argsort(squares, kind="stable")
    not_smaller = np.cumsum(squares[order][::-1])[::-1]
    scores = np.zeros_like(squares)
    scores[order] = np.divide(squares[order], not_smaller, out=np.zeros_like(squares), where=not_smaller > 0)
    return scores.reshape(values.shape)


def l1_norm(ctx: ScoringContext) -> Scores:
    """Sum of |w| over each unit's kernel, bias left out (Li et al. 2017, "Pruning filters for efficient convnets")."""
    return _unit_norms(ctx, order=1)


def l2_norm(ctx: ScoringContext) -> Scores:
    """Euclidean norm of the kernel of each unit, bias left out."""
    return _unit_norms(ctx, order=2)


def _unit_norms(ctx: ScoringContext, order: int) -> Scores:
    columns = {layer.name: kernel_columns(layer) for layer in ctx.layers}
    return {name: np.linalg.norm(column, ord=order, axis=0) for name, column in columns.items() if column is not None}
