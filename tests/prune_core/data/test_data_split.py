"""Stratified splits: proportions, no sample lost, the same on every machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_core.data.split import allocate, part_size, seeded_order, stratified_split

class_counts = st.lists(st.integers(2, 40), min_size=2, max_size=8)


def labels(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize(
    ("counts", "total", "leave", "taken"),
    [
        ([10, 10], 4, 0, [2, 2]),
        ([10, 10], 3, 0, [2, 1]),  # a tie goes to the lower class
        ([90, 10], 10, 0, [9, 1]),
        ([98, 2], 10, 0, [9, 1]),  # 9.8 and 0.2: the small class still gives one
        ([3, 3], 4, 1, [2, 2]),
        ([50, 2, 2], 50, 1, [48, 1, 1]),
    ],
)
def test_allocate_by_hand(counts, total, leave, taken):
    assert allocate(np.array(counts), total, leave).tolist() == taken


@pytest.mark.parametrize(("counts", "total", "leave"), [([5, 5], 1, 0), ([5, 5], 9, 1), ([5, 1], 3, 1)])
def test_allocate_refuses_what_cannot_be(counts, total, leave):
    with pytest.raises(ValueError, match="cannot take"):
        allocate(np.array(counts), total, leave)


@given(st.data(), class_counts)
def test_allocate_is_exact_and_proportional(data, counts):
    counts = np.array(counts)
    total = data.draw(st.integers(len(counts), int((counts - 1).sum())))
    taken = allocate(counts, total, leave=1)
    quota = counts * total / counts.sum()
    assert taken.sum() == total
    assert (taken >= 1).all()
    assert (taken <= counts - 1).all()
    if (quota >= 1).all() and (quota <= counts - 1).all():  # no class is held at its bounds
        assert (np.abs(taken - quota) < 1).all()


@given(class_counts, st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_a_split_loses_nothing_and_has_every_class_on_both_sides(counts, fraction, seed):
    y = labels(counts)
    size = part_size(len(y), len(counts), fraction, leave=1)
    first, second = stratified_split(y, size, seed)
    assert len(second) == size
    assert sorted([*first, *second]) == list(range(len(y)))
    assert set(y[first]) == set(y[second]) == set(range(len(counts)))


@given(class_counts, st.integers(0, 1000))
def test_a_split_depends_on_labels_and_seed_alone(counts, seed):
    y = labels(counts)
    np.random.seed(seed)
    once = stratified_split(y, len(counts), seed)
    np.random.seed(seed + 1)
    for part, again in zip(once, stratified_split(y.astype(np.uint8), len(counts), seed), strict=True):
        np.testing.assert_array_equal(part, again)


def test_both_parts_are_in_random_order_from_their_first_sample_on():
    y = np.repeat(np.arange(10), 1000)
    for part in stratified_split(y, 5000, seed=3):
        for piece in (part[:500], part[-500:]):
            assert np.bincount(y[piece], minlength=10).min() > 25  # expected 50, standard deviation 6.7


def test_the_order_is_the_same_for_ever():
    assert seeded_order(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert seeded_order(8, 0, purpose=1).tolist() == [7, 4, 5, 1, 6, 2, 0, 3]
    assert sorted(seeded_order(1000, 7)) == list(range(1000))
