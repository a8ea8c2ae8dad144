"""The tables of single layers, as HTML: what each tolerates alone, and what unequal shares gain."""

from collections.abc import Sequence
from statistics import fmean, stdev

from sweeps.reporting.by_layer import LayerCurve, allocations, layer_curves
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.markup import Cell, number, table

TOLERANCES = (0.005, 0.01, 0.02)


def sensitivity_table(comparison: Comparison) -> str:
    """How much of each layer alone can be removed within each tolerance; empty where no layer was pruned alone."""
    curves = layer_curves(comparison.points)
    if not curves:
        return ""
    labels = list(dict.fromkeys(curve.label for curve in curves))
    rows: list[list[Cell | str]] = []
    for layer in dict.fromkeys(curve.layer for curve in curves):
        found = {curve.label: curve for curve in curves if curve.layer == layer}
        rows.append([layer, *(_tolerated(found.get(label), limit) for label in labels for limit in TOLERANCES)])
    heads = ["layer", *(f"{label}: {100 * limit:g}" for label in labels for limit in TOLERANCES)]
    caption = "The most of one layer alone, in %, that can go with validation accuracy within so many points of dense."
    return table(heads, rows, caption)


def allocation_table(comparison: Comparison) -> str:
    """Equal shares beside the unequal ones that were found to be no larger; empty where no search went by layer."""
    found = allocations(comparison.points)
    if not found:
        return ""
    rows: list[list[Cell | str]] = [
        [
            allocation.label,
            number(100 * allocation.share, "{:.0f}"),
            number(allocation.size, "{:,.0f}"),
            _mean(allocation.equal),
            _mean(allocation.chosen),
            _mean(allocation.gains, "{:+.2f}"),
            " · ".join(f"{layer} {100 * share:.0f}" for layer, share in allocation.shares.items()),
        ]
        for allocation in found
    ]
    heads = ["method", "% of every layer", "weights left", "test acc. %", "shares found", "gain, points", "% by layer"]
    caption = (
        "The same share of every layer, and for each seed the shares of highest validation accuracy among those that "
        "the search found with no more weights: test accuracy, mean ± standard deviation over seeds."
    )
    return table(heads, rows, caption)


def _tolerated(curve: LayerCurve | None, tolerance: float) -> Cell:
    if curve is None:
        return number(None)
    share = curve.tolerated(tolerance)
    return Cell(f"< {100 * min(curve.points):g}", 0.0, True) if share is None else number(100 * share, "{:g}")


def _mean(values: Sequence[float], form: str = "{:.2f}") -> Cell:
    spread = 100 * stdev(values) if len(values) > 1 else None
    return number(100 * fmean(values), form, spread)
