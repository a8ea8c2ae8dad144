"""Pictures of single layers: what each tolerates alone, and unequal shares beside equal ones."""

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from sweeps.reporting.by_layer import LayerCurve, allocations, layer_curves
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.style import COLOURS, MARKERS, plain_ticks, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sensitivity_figure(comparison: Comparison) -> "Figure | None":
    """Test accuracy against the share of one layer that is removed, the others whole: a panel a method, a line a layer.

    None where no layer was pruned alone.
    """
    curves = layer_curves(comparison.points)
    if not curves:
        return None
    figure, panels = _panels(curve.label for curve in curves)
    layers = list(dict.fromkeys(curve.layer for curve in curves))
    for curve in curves:
        _curve(panels[curve.label], curve, layers.index(curve.layer), comparison.dense.get("accuracy"))
    for axes in panels.values():
        _dense(axes, comparison)
        axes.set_xlabel("removed of this layer alone (%)")
        axes.legend(loc="lower left", frameon=False, fontsize=9)
    return figure


def allocation_figure(comparison: Comparison) -> "Figure | None":
    """Test accuracy against weights left: equal shares for all layers, and the unequal ones chosen to be no larger.

    None where no search went layer by layer.
    """
    found = allocations(comparison.points)
    if not found:
        return None
    figure, panels = _panels(allocation.label for allocation in found)
    for label, axes in panels.items():
        members = [allocation for allocation in found if allocation.label == label]
        sizes = [allocation.size / 1e3 for allocation in members]
        equal, chosen = ([getattr(allocation, which) for allocation in members] for which in ("equal", "chosen"))
        _line(axes, sizes, equal, 1, "the same share of every layer")
        _line(axes, sizes, chosen, 0, "shares found by the search, no larger")
        _dense(axes, comparison)
        plain_ticks(axes)
        axes.set_xlabel("weights left (thousands, logarithmic)")
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _panels(labels: Iterable[str]) -> "tuple[Figure, dict[str, Axes]]":
    """A figure with one panel for each label, in order of appearance."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(labels))
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(11, 3.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for name, axes in zip(names, grid, strict=False):
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_ylabel("test accuracy (%)")
        tidy(axes)
    return figure, dict(zip(names, grid, strict=False))


def _curve(axes: "Axes", curve: LayerCurve, number: int, dense: float | None) -> None:
    """A layer's curve, from the dense network on where that is known."""
    shares = [100 * share for share in curve.points]
    accuracies = [group.metrics["accuracy"] for group in curve.points.values()]
    if dense is not None:
        shares, accuracies = [0.0, *shares], [(dense,), *accuracies]
    _line(axes, shares, accuracies, number, curve.layer)


def _line(axes: "Axes", xs: Sequence[float], accuracies: Sequence[Sequence[float]], number: int, label: str) -> None:
    """Means over seeds with the standard deviation as bars."""
    how: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
    means = [100 * fmean(values) for values in accuracies]
    spreads = [100 * stdev(values) if len(values) > 1 else 0.0 for values in accuracies]
    axes.errorbar(xs, means, yerr=spreads, capsize=2, elinewidth=0.8, markersize=5, linewidth=1.4, label=label, **how)


def _dense(axes: "Axes", comparison: Comparison) -> None:
    if "accuracy" in comparison.dense:
        dense = 100 * comparison.dense["accuracy"]
        axes.axhline(dense, color="#555555", linestyle="--", linewidth=1, label=f"dense: {dense:.2f} %")
