"""Selections that see all layers at once: one ranking, and shares that follow from shapes."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L

from prune_core import UserError, prune
from prune_core.axes import SELECTIONS
from prune_core.granularities import Group
from prune_core.selections.base import run_selection

_quick = settings(deadline=None, max_examples=50)
# Few distinct values, so that ties are common.
_layers = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=8), min_size=1, max_size=4)


def group(scores, name="layer", keep_one=False, removed=None, shape=None, parts=()):
    scores = np.array(scores, dtype=float)
    layers = () if shape is None else (SimpleNamespace(kernel=np.zeros(shape), bias_path=None, name=name),)
    gone = np.zeros(scores.shape, bool) if removed is None else np.array(removed)
    return Group(name, scores, gone, layers, keep_one, tuple(np.array(part) for part in parts))


def kept(selection, groups, sparsity):
    found = run_selection(SELECTIONS.get(selection), groups, {"sparsity": sparsity})
    return [array.tolist() for array in found]


def test_the_lowest_of_the_whole_network_go():
    assert kept("global", [group([5.0, 1.0]), group([[2.0, 9.0], [3.0, 0.5]])], 0.5) == [
        [True, False],
        [[False, True], [True, False]],
    ]


def test_of_equal_scores_those_go_that_come_first():
    assert kept("global", [group([1.0, 1.0]), group([1.0, 1.0])], 0.5) == [[False, False], [True, True]]


def test_the_highest_unit_of_each_layer_stays():
    low, high = group([0.1, 0.2], keep_one=True), group([5.0, 6.0, 7.0, 8.0], keep_one=True)
    assert kept("global", [low, high], 0.5) == [[False, True], [False, False, True, True]]
    assert kept("global", [low, high], 0.99) == [[False, True], [False, False, False, True]]


def test_of_layers_that_share_some_classes_each_keeps_one():
    coupled = group([1.0, 2.0, 8.0, 9.0], keep_one=True, parts=[[0, 1], [2, 3]])
    assert kept("global", [coupled], 0.5) == [[False, True, False, True]]
    assert kept("fraction", [coupled], 0.5) == [[False, True, True, True]]


def test_what_was_removed_before_counts_and_stays_removed():
    first = group([9.0, 8.0, 1.0, 2.0], removed=[True, False, False, False])
    assert kept("global", [first], 0.5) == [[False, True, False, True]]
    assert kept("fraction", [first], 0.5) == [[False, True, False, True]]


@_quick
@given(_layers, st.floats(0, 1, exclude_max=True))
def test_the_count_is_exact_and_no_kept_score_is_below_a_removed_one(layers, sparsity):
    groups = [group(scores) for scores in layers]
    found = np.concatenate([np.ravel(array) for array in kept("global", groups, sparsity)])
    scores = np.concatenate(layers)
    assert np.count_nonzero(~found) == max(0, min(int(sparsity * scores.size + 0.5), scores.size - 1))
    if found.any() and not found.all():
        assert scores[~found].max() <= scores[found].min()


@_quick
@given(_layers, st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)))
@pytest.mark.parametrize("selection", ["global", "erk"])
def test_masks_only_shrink_as_the_sparsity_grows(selection, layers, pair):
    groups = [group(scores, shape=(len(scores), 3)) for scores in layers]
    looser, tighter = (kept(selection, groups, sparsity) for sparsity in sorted(pair))
    assert not any(np.any(np.array(t) & ~np.array(u)) for t, u in zip(tighter, looser, strict=True))


def test_shares_of_erk_by_hand():
    # (4 + 2) / 8 = 0.75 and (2 + 2) / 4 = 1; of 12 weights 6 stay: 8 * 0.75 e + 4 e = 6, e = 0.6, shares 0.45 and 0.6.
    first, second = group(np.arange(8), shape=(4, 2)), group(np.arange(4), shape=(2, 2))
    assert [sum(array) for array in kept("erk", [first, second], 0.5)] == [4, 2]  # 3.6 and 2.4, rounded


def test_a_layer_that_would_keep_more_than_everything_is_kept_whole():
    # 100 x 1 keeps 1.01 e, 2 x 1 keeps 1.5 e: with 95 % of 102 weights e would be 0.937, so the second is whole.
    large, small = group(np.arange(100), shape=(100, 1)), group(np.arange(2), shape=(2, 1))
    assert [sum(array) for array in kept("erk", [large, small], 0.05)] == [95, 2]


def test_a_bias_loses_the_share_of_its_kernel_under_erk():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            L.Dense(30, name="wide", bias_initializer="normal"),
            L.Dense(6, name="small", bias_initializer="normal"),
            L.Dense(2),
        ]
    )
    with_biases, without = (
        prune(model, "weight", selection="erk", sparsity=0.8, include_biases=b) for b in (True, False)
    )
    shares = {path: np.mean(~mask) for path, mask in with_biases.masks.items()}
    assert shares["wide/bias"] == pytest.approx(shares["wide/kernel"], abs=1 / 30)
    assert all(np.array_equal(with_biases.masks[path], mask) for path, mask in without.masks.items())


def residual() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    left, right = L.Dense(10, name="left")(inputs), L.Dense(10, name="right")(inputs)
    alone = L.Dense(8, name="alone")(L.ReLU()(L.Add()([left, right])))
    return keras.Model(inputs, L.Dense(3, name="output")(L.ReLU()(alone)))


def test_channel_classes_are_ranked_over_all_layers_and_go_together():
    result = prune(residual(), "unit", selection="global", sparsity=0.5)
    figures = result.figures
    assert figures["units.left"] == figures["units.right"]
    assert figures["units.left"] + figures["units.alone"] == 9  # of 10 classes of two coupled layers and 8 of one
    assert figures["shrink_difference"] <= 1e-5


def test_a_list_is_no_share_of_a_whole_network():
    with pytest.raises(UserError, match=r"sparsity=\[0.5, 0.5\] must be a number in \[0, 1\)"):
        prune(residual(), "weight", selection="global", sparsity=[0.5, 0.5])
