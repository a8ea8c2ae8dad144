"""What a sweep says of single layers, on figures made up so that the answer can be read off."""

import pytest

from sweeps.reporting.by_layer import allocations, layer_curves
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.by_layer import allocation_figure, sensitivity_figure
from sweeps.reporting.results import Group


def group(axes: dict, accuracy: list[float], size: int = 100, drop: float = 0.0) -> Group:
    metrics = {"accuracy": accuracy, "val_accuracy": accuracy, "params_nonzero": [size] * len(accuracy)}
    return Group("weight", axes, "net", "digits", tuple(range(len(accuracy))), metrics, drop)


def both(a: float, b: float, **rest: str) -> dict:
    return {"sparsity.a": a, "sparsity.b": b, **rest}


ALONE = [
    group({"sparsity.b": 0.9}, [0.7, 0.8], drop=0.2),
    group({"sparsity.a": 0.9}, [0.9, 0.9], drop=0.0),
    group({"sparsity.a": 0.5}, [0.8, 0.8], drop=0.02),
    group({"sparsity.b": 0.5}, [0.95, 0.95], drop=0.005),
]
SEARCHED = [
    group(both(0.5, 0.5), [0.8, 0.7], size=50),
    group(both(0.8, 0.8), [0.4, 0.5], size=20),
    group(both(0.1, 0.6), [0.99], size=51),  # larger than both
    group(both(0.2, 0.9), [0.9], size=50),
    group(both(0.4, 0.9), [0.85], size=30),
    group(both(0.3, 0.9, recovery="finetune"), [1.0], size=10),  # compared with the same recovery only
]


def comparison(points: list[Group]) -> Comparison:
    return Comparison("net", "digits", tuple(points), {"accuracy": 0.96}, None)


def test_a_layer_tolerates_what_it_tolerates_all_the_way() -> None:
    b, a = layer_curves(ALONE)
    assert (a.layer, list(a.points)) == ("a", [0.5, 0.9])
    assert [a.tolerated(tolerance) for tolerance in (0.01, 0.02)] == [None, 0.9]
    assert [b.tolerated(tolerance) for tolerance in (0.0, 0.005, 0.2)] == [None, 0.5, 0.9]
    assert a.label == "weight"


def test_unequal_shares_are_chosen_seed_by_seed_among_those_no_larger() -> None:
    (found,) = allocations(SEARCHED)  # nothing found is as small as 0.8 of every layer
    assert (found.share, found.size) == (0.5, 50)
    assert (found.equal, found.chosen) == ((0.8,), (0.9,))  # seed 1 was not searched
    assert found.gains == pytest.approx([0.1])
    assert found.shares == {"a": 0.2, "b": 0.9}


def test_figures_show_every_layer_and_both_kinds_of_shares() -> None:
    figure = sensitivity_figure(comparison(ALONE))
    assert figure is not None
    (axes,) = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert axes.get_legend_handles_labels()[1] == ["dense: 96.00 %", "b", "a"]
    figure = allocation_figure(comparison(SEARCHED))
    assert figure is not None
    assert {"the same share of every layer", "shares found by the search, no larger"} <= set(
        figure.axes[0].get_legend_handles_labels()[1]
    )


def test_other_sweeps_have_no_such_pictures() -> None:
    plain = comparison([group({"sparsity": 0.5}, [0.9])])
    assert sensitivity_figure(plain) is None
    assert allocation_figure(plain) is None
