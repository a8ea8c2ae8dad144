"""The two questions of every user, answered from fabricated points whose answers a reader can check by hand."""

import re
from dataclasses import replace

import pytest

from sweeps.reporting.answers import ratio, size_and_speed, speed
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.results import Group


def point(method="weight", drop=0.0, smaller=2.0, faster=1.0, seeds=(0,), metrics=None, **axes):
    values = {
        "val_accuracy": 0.94 - drop,
        "accuracy": 0.95 - drop,
        "sparsity": 0.5,
        "size_bytes": 4000 / smaller,
        "compression_ratio": smaller,
        "speedup": faster,
        **(metrics or {}),
    }
    return Group(method, axes, "lenet_5", "digits", seeds, {name: [value] for name, value in values.items()}, drop)


def comparison_of(*points):
    return Comparison("lenet_5", "digits", points, {"val_accuracy": 0.94, "size_bytes": 4000.0}, None)


UNITS = {"units.dense_1": 5.0}


def plain(html):
    return re.sub(r"<[^>]+>", "", html)


def test_zeros_in_place_change_only_what_is_stored():
    said = plain(size_and_speed(comparison_of(point(sparsity=0.5, faster=0.9), point(sparsity=0.6, faster=1.2))))
    assert "50 % of the weights are zero" in said
    assert "0.90 to 1.20 times as fast in all 2 points with unchanged matrices" in said
    assert "2.0 kB instead of 4.0 kB, 2.0 times smaller" in said
    assert "method=unit" in said


@pytest.mark.parametrize(
    ("group", "told"),
    [
        (point(faster=3.0), " to store, but not faster, since its matrices keep the shapes of the dense ones,"),
        (point(faster=3.0, metrics=UNITS), " and 3.0 times faster"),
        (point(faster=1.01, metrics=UNITS), ", though not faster as measured,"),
        (point(faster=3.0, metrics={**UNITS, "sparsity": 0.0}), speed(point())),
    ],
    ids=["zeros in place", "units removed", "no gain", "no unit removed"],
)
def test_the_speed_of_a_smaller_network(group, told):
    assert speed(group) == told


def test_removed_units_are_faster_and_need_no_advice():
    said = plain(size_and_speed(comparison_of(point("unit", faster=3.0, metrics=UNITS, sparsity=0.5))))
    assert "3.00 times as fast as dense" in said
    assert "To get a faster network" not in said


def test_shared_weights_are_counted():
    said = plain(size_and_speed(comparison_of(point("cluster", metrics={"unique_values": 48.0}, n_clusters=16))))
    assert "48 distinct values" in said


def test_nothing_pruned_says_nothing():
    assert size_and_speed(comparison_of()) == ""


def rows_of(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return {cells[0]: cells[2:] for row in rows if (cells := re.findall(r"<td[^>]*>(.*?)</td>", row))}


def test_the_furthest_point_within_each_tolerance():
    points = [point(sparsity=s, drop=d, smaller=r) for s, d, r in ((0.5, 0.0, 2.0), (0.8, 0.008, 5.0), (0.9, 0.1, 9.0))]
    said = ratio(replace(comparison_of(*points), val_samples=376))
    assert rows_of(said) == {"weight": ["0.5 · 2.0x", "0.5 · 2.0x", "0.8 · 5.0x", "0.8 · 5.0x"]}
    assert "376 samples" in said
    assert "uncertain by 1.2 points" in said  # sqrt(0.94 * 0.06 / 376)
    assert "methods.weight.grid.sparsity=[0.825,0.85,0.875]" in said


def test_whole_numbers_stay_whole():
    points = [point("cluster", n_clusters=k, drop=d, smaller=r) for k, d, r in ((4, 0.1, 9.0), (8, 0.0, 5.0))]
    assert "methods.cluster.grid.n_clusters=[7,6,5]" in ratio(comparison_of(*points))


def test_training_on_moves_the_ratio():
    points = [
        point(sparsity=s, recovery=r, drop=d, smaller=1 / (1 - s))
        for s, r, d in ((0.5, "none", 0.0), (0.8, "none", 0.2), (0.5, "finetune", 0.0), (0.8, "finetune", 0.0))
    ]
    said = plain(ratio(comparison_of(*points)))
    assert "weight goes to sparsity=0.8 instead of 0.5 within 1 point of dense" in said


@pytest.mark.parametrize("points", [(), (point(sparsity=0.9, drop=0.3),)])
def test_without_a_choice_it_says_what_to_do(points):
    assert "prune less, or train on after" in ratio(comparison_of(*points))
