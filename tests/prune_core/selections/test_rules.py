"""Selection: exact counts, thresholds that separate, masks that only shrink."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prune_core.errors import UserError
from prune_core.selections import SELECTIONS, select

# Few distinct values, so that ties are common.
_scores = hnp.arrays(
    np.float32,
    hnp.array_shapes(max_dims=3, max_side=6),
    elements=st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 100, width=32)),
)
_quick = settings(deadline=None, max_examples=50)
_sparsities = st.floats(0, 1, exclude_max=True)


AMOUNTS = {name: SELECTIONS.get(name).amount for name in SELECTIONS if SELECTIONS.get(name).needs_scores}


def test_every_selection_says_how_much_goes() -> None:
    assert {"fraction": "sparsity", "absolute": "threshold", "mean_relative": "threshold"}.items() <= AMOUNTS.items()
    assert all(amount in SELECTIONS.get(name).parameters for name, amount in AMOUNTS.items())


def test_fraction_removes_the_lowest_and_of_equal_ones_the_first() -> None:
    kept = select("fraction", np.array([[3.0, 1.0], [1.0, 1.0]]), sparsity=0.5)
    assert kept.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(("sparsity", "size", "removed"), [(0.29, 100, 29), (0.3, 10, 3), (0.5, 3, 1), (0.99, 10, 9)])
def test_fraction_counts_without_rounding_errors(sparsity: float, size: int, removed: int) -> None:
    assert np.count_nonzero(~select("fraction", np.arange(size), sparsity=sparsity)) == removed


@_quick
@given(_scores, _sparsities)
def test_fraction_is_exact_and_separates(scores: np.ndarray, sparsity: float) -> None:
    kept = select("fraction", scores, sparsity=sparsity)
    assert kept.shape == scores.shape
    assert np.count_nonzero(~kept) == math.floor(sparsity * scores.size + 1e-9)
    if kept.any() and not kept.all():
        assert scores[~kept].max() <= scores[kept].min()


@_quick
@given(_scores, st.tuples(_sparsities, _sparsities))
def test_masks_only_shrink_as_sparsity_grows(scores: np.ndarray, pair: tuple[float, float]) -> None:
    looser, tighter = (select("fraction", scores, sparsity=sparsity) for sparsity in sorted(pair))
    assert not np.any(tighter & ~looser)


@pytest.mark.parametrize("selection", ["absolute", "mean_relative"])
@_quick
@given(scores=_scores, pair=st.tuples(st.floats(0, 10), st.floats(0, 10)))
def test_masks_only_shrink_as_the_threshold_grows(
    selection: str, scores: np.ndarray, pair: tuple[float, float]
) -> None:
    looser, tighter = (select(selection, scores, threshold=threshold) for threshold in sorted(pair))
    assert not np.any(tighter & ~looser)


def test_absolute_removes_below_the_threshold_and_keeps_what_equals_it() -> None:
    assert select("absolute", np.array([0.1, 0.5, 0.7]), threshold=0.5).tolist() == [False, True, True]
    assert select("absolute", np.array([0.1], np.float32), threshold=0.1).tolist() == [True]


def test_mean_relative_is_relative_to_the_mean_of_these_scores() -> None:
    scores = np.array([1.0, 2.0, 9.0])  # mean 4
    assert select("mean_relative", scores, threshold=0.5).tolist() == [False, True, True]
    assert np.array_equal(
        select("mean_relative", scores, threshold=0.5), select("mean_relative", 1000 * scores, threshold=0.5)
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7, 1 / 3])
@_quick
@given(size=st.integers(1, 40))
def test_mean_relative_at_1_keeps_scores_that_are_all_equal(value: float, size: int) -> None:
    assert select("mean_relative", np.full(size, value), threshold=1.0).all()


@_quick
@given(_scores, st.sampled_from([("fraction", 1.0), ("absolute", 1e6), ("mean_relative", 1e6)]))
def test_keep_one_keeps_the_highest(scores: np.ndarray, case: tuple[str, float]) -> None:
    selection, value = case
    kept = select(selection, scores, keep_one=True, **{AMOUNTS[selection]: value})
    assert kept.any()
    if selection != "mean_relative" or scores.any():
        assert np.count_nonzero(kept) == 1
        assert scores[kept] == scores.max()


def test_none_keeps_all() -> None:
    assert select("none", np.zeros((2, 3))).tolist() == [[True] * 3] * 2


@pytest.mark.parametrize("selection", [*AMOUNTS, "none"])
def test_scores_that_are_not_numbers_are_refused_by_name(selection: str) -> None:
    with pytest.raises(UserError, match=r"dense_1: 1 of 2 scores are not a number"):
        select(selection, np.array([1.0, np.nan]), sparsity=0.5, threshold=0.5, name="dense_1")


def test_infinite_scores_stay_and_have_no_mean() -> None:
    scores = np.array([np.inf, 1.0])
    assert select("fraction", scores, sparsity=0.5).tolist() == [True, False]
    assert select("absolute", scores, threshold=2.0).tolist() == [True, False]
    with pytest.raises(UserError, match="selection=mean_relative needs finite scores"):
        select("mean_relative", scores, threshold=0.5)


@pytest.mark.parametrize("selection", list(AMOUNTS))
def test_a_missing_parameter_is_named(selection: str) -> None:
    with pytest.raises(UserError, match=f"{AMOUNTS[selection]} is missing"):
        select(selection, np.ones(3))


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'fraction'"):
        select("fractions", np.ones(3), sparsity=0.5)
