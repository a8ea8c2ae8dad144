"""What the main picture says in words and numbers."""

import pytest
from matplotlib.figure import Figure

from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.curves import accuracy_figure
from sweeps.reporting.figures.style import plain_ticks
from sweeps.reporting.results import Group


def point(sparsity: float, milliseconds: float, **metrics: float) -> Group:
    values = {"accuracy": 0.9, "sparsity": sparsity, "compression_ratio": 2.0, "macs": 5.0, "macs_baseline": 10.0}
    values |= {"latency_ms": milliseconds, "latency_ms_baseline": 10.0, **metrics}
    return Group("unit", {"sparsity": sparsity}, "net", "data", (0,), {k: [v] for k, v in values.items()}, 0.0)


def test_zeros_in_place_take_the_time_of_the_dense_network():
    """Their measured differences are noise."""
    comparison = Comparison(
        "net", "data", (point(0.5, 4.0, **{"units.dense": 3.0}), point(0.6, 31.0)), {"accuracy": 0.9}, None
    )
    (drawn,) = accuracy_figure(comparison).axes[-1].containers
    assert list(drawn.lines[0].get_xdata()) == [40.0, 100.0]


def test_single_samples_are_not_blown_up():
    points = (point(0.5, 4.0), point(0.6, 4.0, accuracy=0.898))
    whole = accuracy_figure(Comparison("net", "data", points, {"accuracy": 0.9}, None)).axes[0]
    assert whole.get_ylim() == pytest.approx((88.9, 90.9))


@pytest.mark.parametrize(("low", "high"), [(1.3, 8.0), (27.0, 210.0), (80.0, 96.0), (1.0, 1000.0)])
def test_a_logarithmic_axis_has_a_handful_of_numbers(low, high):
    axes = Figure().add_subplot()
    axes.plot([low, high], [0, 1])
    plain_ticks(axes)
    axes.set_xlim(low, high)
    assert 3 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 12
