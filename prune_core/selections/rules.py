"""From scores to masks: which weights or units of one layer stay."""

from collections.abc import Callable

import numpy as np

from prune_core.errors import UserError
from prune_core.registry import Registry
from prune_core.spec import SELECTION_PARAMETER

Selection = Callable[[np.ndarray, float], np.ndarray]

SELECTIONS: Registry[Selection] = Registry("selection", "prune_core.selections")
"""Functions `(scores, parameter) -> kept`, on arrays of any shape; the parameter's name is in `SELECTION_PARAMETER`."""


def all_but_lowest(scores: np.ndarray, k: int) -> np.ndarray:
    """Remove exactly the k lowest scores, of equal ones those that come first; bool of their shape, True = kept."""
    flat = scores.ravel()
    kept = np.ones(flat.size, dtype=bool)
    if k:
        highest = np.partition(flat, k - 1)[k - 1]
        kept[flat < highest] = False
        ties = np.flatnonzero(flat == highest)
        kept[ties[: k - np.count_nonzero(flat < highest)]] = False
    return kept.reshape(scores.shape)


@SELECTIONS("fraction")
def fraction(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """Remove exactly floor(sparsity * n + 1e-9) of the n scores, as `all_but_lowest` does.

    The 1e-9 lets 0.29 * 100 = 28.999999999999996 remove 29.
    """
    return all_but_lowest(scores, int(sparsity * scores.size + 1e-9))


@SELECTIONS("absolute")
def absolute(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Remove what scores below `threshold`."""
    return scores.astype(np.float64) >= threshold


@SELECTIONS("mean_relative")
def mean_relative(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Remove what scores below `threshold` times the mean of these scores; nothing if all of them are zero.

    The bound is lowered by 1e-12 of itself: the rounded mean of equal scores can lie above every one of them.

    Raises:
        UserError: an infinite score, beside which no mean makes sense.
    """
    exact = scores.astype(np.float64)
    mean = exact.mean() if exact.size else 0.0
    if not np.isfinite(mean):
        raise UserError("selection=mean_relative needs finite scores and one is infinite: use selection=fraction")
    return exact >= threshold * mean * (1 - 1e-12)


def select(
    selection: str,
    scores: np.ndarray,
    *,
    sparsity: float | None = None,
    threshold: float | None = None,
    keep_one: bool = False,
    name: str = "scores",
) -> np.ndarray:
    """The weights or units of one layer that stay.

    Args:
        selection: name in `SELECTIONS`, or "none", which keeps all.
        scores: any shape; higher matters more.
        sparsity: parameter of "fraction", in [0, 1].
        threshold: parameter of "absolute" and "mean_relative", >= 0.
        keep_one: if everything would go, keep the highest score, of equal ones the last.
        name: what the scores belong to, for messages.

    Returns:
        Bool array of the shape of `scores`, True = kept.

    Raises:
        UserError: unknown selection, missing or impossible parameter, scores that are not numbers.
    """
    if np.isnan(scores).any():
        count = np.count_nonzero(np.isnan(scores))
        raise UserError(f"{name}: {count} of {scores.size} scores are not a number: train with a lower learning rate")
    if selection == "none":
        return np.ones(scores.shape, dtype=bool)
    function = SELECTIONS.get(selection)
    kept = function(scores, _parameter(selection, sparsity, threshold))
    if keep_one and scores.size and not kept.any():
        last_highest = scores.size - 1 - int(np.argmax(scores.ravel()[::-1]))
        kept.flat[last_highest] = True
    return kept


def _parameter(selection: str, sparsity: float | None, threshold: float | None) -> float:
    given = {"sparsity": sparsity, "threshold": threshold}
    key = SELECTION_PARAMETER[selection]
    value = given[key]
    if value is None:
        raise UserError(f"{key} is missing: selection={selection} needs it")
    if not 0 <= value <= (1 if key == "sparsity" else np.inf):
        raise UserError(f"{key}={value!r} must be {'in [0, 1]' if key == 'sparsity' else '>= 0'}")
    return value
