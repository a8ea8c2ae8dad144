"""Pictures of everything on one network and dataset: the Pareto front, layer by layer, distinct values."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.lines import Line, best_lines, is_as_pruned, lines_of, pareto
from sweeps.reporting.figures.style import COLOURS, MARKERS, methods_of, plain_ticks, span, style, tidy
from sweeps.reporting.results import Group, choices
from sweeps.specs import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOCUS = 0.06
"""How far below the dense network the Pareto picture reaches, as accuracy."""
MANY = 30
"""Points that are drawn pale, since they cover one another."""
_UNITS = re.compile(r"units\.(.+)")
_SPARSITY = re.compile(r"sparsity\.(.+)")


def front_of(comparison: Comparison) -> list[Group]:
    """The Pareto front of size and validation accuracy, smallest network last."""
    return pareto(comparison.points, lambda g: g.mean("size_bytes"), lambda g: g.mean("val_accuracy"))[::-1]


def pareto_figure(comparison: Comparison) -> "Figure":
    """All trials by size and validation accuracy, the split that choices are made on; the front as a stair."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.add_subplot()
    methods = methods_of(comparison)
    for line in best_lines(comparison.points):
        how = {**style(line, methods), "linestyle": "", "alpha": 0.9 if len(line.groups) < MANY else 0.45}
        axes.plot(*_by_size(line.groups), label=line.method, **how)
    front = front_of(comparison)
    sizes, accuracies = _by_size(front)
    axes.step(sizes, accuracies, where="post", color="#222222", linewidth=1.2, zorder=1, label="Pareto front")
    dense = comparison.dense.get("val_accuracy")
    if dense is not None and "size_bytes" in comparison.dense:
        axes.plot(comparison.dense["size_bytes"] / 1e3, 100 * dense, "x", color="#222222", markersize=9, label="dense")
        axes.axhline(100 * dense, color="#555555", linestyle="--", linewidth=0.8)
        _focus(axes, comparison, 100 * dense)
    plain_ticks(axes)
    _number_points(axes, front)
    tidy(axes)
    axes.set(xlabel="size (kB that must be stored, logarithmic)", ylabel="validation accuracy (%)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return figure


def layers_figure(comparison: Comparison) -> "Figure | None":
    """Along each method's axis: zeros of every layer where layers differ, units left where units go, and the knee.

    The knee is the smallest network of the line that is within one standard error of dense on validation. None where
    there is nothing to show.
    """
    from matplotlib.figure import Figure

    plain = _plain_lines(comparison)
    lines = [line for line in plain if _differ_by_layer(line)]
    with_units = [line for line in plain if _names(line.groups, _UNITS) and line.method != "random"]
    if not lines and not with_units:
        return None
    columns = max(2, min(3, max(len(lines), len(with_units))))
    rows = -(-len(lines) // columns) + -(-len(with_units) // columns)
    height = 0.4 + 2.9 * rows
    figure = Figure(figsize=(11, height))
    figure.subplots_adjust(0.06, 0.6 / height, 0.99, 1 - 0.3 / height, wspace=0.2, hspace=0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    places = iter(grid[: -(-len(lines) // columns)].ravel())
    for line in lines:
        axes = next(places)
        _layers(axes, line, "sparsity.", _names(line.groups, _SPARSITY), 100, comparison.standard_error)
        axes.set_ylabel("zeros (%)")
        axes.set_ylim(-3, 103)
    for axes in places:
        axes.set_axis_off()
    places = iter(grid[-(-len(lines) // columns) :].ravel())
    for line in with_units:
        axes = next(places)
        hidden = _names(line.groups, _SPARSITY)
        names = [name for name in _names(line.groups, _UNITS) if name in hidden]
        _layers(axes, line, "units.", names, 1, comparison.standard_error)
        axes.set_ylabel("units left")
        axes.set_ylim(bottom=0)
    for axes in places:
        axes.set_axis_off()
    return figure


def values_figure(comparison: Comparison) -> "Figure | None":
    """Test accuracy against the number of distinct values that weights take; None where no weights are shared."""
    from matplotlib.figure import Figure

    shared = [group for group in comparison.points if group.mean("unique_values")]
    if not shared:
        return None
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.add_subplot()
    methods = methods_of(comparison)
    for method in dict.fromkeys(group.method for group in shared):
        index = methods.index(method)
        members = [group for group in shared if group.method == method]
        xs = [group.mean("unique_values") or 0 for group in members]
        ys = [100 * (group.mean("accuracy") or 0) for group in members]
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        axes.plot(xs, ys, linestyle="", marker=marker, color=colour, alpha=0.6, label=method)
    published = [p.metrics for p in comparison.published if {"unique_values", "accuracy"} <= p.metrics.keys()]
    if published:
        stars: dict[str, Any] = {
            "markersize": 13,
            "markerfacecolor": "none",
            "markeredgecolor": "#222222",
            "label": "published",
        }
        xs = [metrics["unique_values"] for metrics in published]
        axes.plot(xs, [100 * metrics["accuracy"] for metrics in published], "*", **stars)
    if "accuracy" in comparison.dense:
        dense = 100 * comparison.dense["accuracy"]
        axes.axhline(dense, color="#555555", linestyle="--", linewidth=1, label=f"dense: {dense:.2f} %")
        axes.set_ylim(bottom=max(axes.get_ylim()[0], dense - 10))
    plain_ticks(axes)
    tidy(axes)
    axes.set(xlabel="distinct values of the weights (all layers, logarithmic)", ylabel="test accuracy (%)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return figure


def knee_of(points: Sequence[Group], tolerance: float) -> Group | None:
    """The smallest network whose mean validation accuracy is within a tolerance of dense; None if all lose more.

    With the standard error of the dense network's accuracy as tolerance, this is the rule by which Breiman et al.
    (Classification and Regression Trees, 1984) choose how far to prune a tree.
    """
    return choices(points, tolerances=(tolerance,))[0].group


def _plain_lines(comparison: Comparison) -> list[Line]:
    """One line a method: as pruned, before any recovery or weight sharing where the sweep has such points."""
    found: list[Line] = []
    for method in methods_of(comparison):
        points = [group for group in comparison.points if group.method == method]
        plain = [group for group in points if is_as_pruned(group.axes)]
        lines = [line for line in lines_of(plain or points) if line.axis and not line.is_cloud]
        found += [line for line in lines if _names(line.groups, _SPARSITY)][:2]
    return found


def _differ_by_layer(line: Line) -> bool:
    """Whether a picture of the layers' zeros tells more than the axis itself does."""
    names = _names(line.groups, _SPARSITY)
    shares = [[group.mean(f"sparsity.{name}") or 0 for name in names] for group in line.groups]
    return any(max(values) - min(values) > 0.02 for values in shares if values)


def _layers(axes: "Axes", line: Line, prefix: str, names: Sequence[str], scale: float, tolerance: float) -> None:
    assert line.axis is not None
    at = [group.axes[line.axis] for group in line.groups]
    is_number = all(isinstance(value, (int, float)) for value in at)
    places = list(at) if is_number else list(range(len(at)))
    for index, name in enumerate(names):
        values = [(x, group.mean(prefix + name)) for x, group in zip(places, line.groups, strict=True)]
        drawn = [(x, scale * y) for x, y in values if y is not None]
        how: dict[str, Any] = {
            "color": COLOURS[index % len(COLOURS)],
            "marker": MARKERS[index % len(MARKERS)],
            "markersize": 4,
        }
        axes.plot([x for x, _ in drawn], [y for _, y in drawn], label=name, linewidth=1.3, **how)
    if not is_number:
        axes.set_xticks(places, [format_value(value) for value in at], rotation=30, ha="right", fontsize=7)
    elif len(at) > 2 and min(at) > 0 and max(at) / min(at) > 50:
        plain_ticks(axes)
    else:
        axes.locator_params(axis="x", nbins=5)
    knee = knee_of(line.groups, tolerance)
    if knee is not None:
        place = places[line.groups.index(knee)]
        axes.axvline(place, color="#222222", linestyle=":", linewidth=1.2, label="knee")
    axes.set_title(line.label, fontsize=10, loc="left")
    axes.set_xlabel(line.axis)
    tidy(axes)
    axes.legend(fontsize=7, framealpha=0.85, edgecolor="none")


def _names(points: Sequence[Group], pattern: re.Pattern[str]) -> list[str]:
    metrics = dict.fromkeys(name for group in points for name in group.metrics)
    return [match.group(1) for name in metrics if (match := pattern.fullmatch(name))]


def _by_size(points: Sequence[Group]) -> tuple[list[float], list[float]]:
    known = [(g.mean("size_bytes"), g.mean("val_accuracy")) for g in points]
    pairs = sorted(
        (size / 1e3, 100 * accuracy) for size, accuracy in known if size is not None and accuracy is not None
    )
    return [size for size, _ in pairs], [accuracy for _, accuracy in pairs]


def _number_points(axes: "Axes", front: Sequence[Group]) -> None:
    """Number the front's points as its table does, from the largest network on."""
    low, _ = axes.get_ylim()
    for number, group in enumerate(front, start=1):
        (size,), (accuracy,) = _by_size([group])
        if accuracy > low:
            place: dict[str, Any] = {"xytext": (-3, 4), "textcoords": "offset points", "ha": "right"}
            axes.annotate(str(number), (size, accuracy), fontsize=8, color="#222222", **place)


def _focus(axes: "Axes", comparison: Comparison, dense: float) -> None:
    """Show accuracies down to FOCUS below dense, and the sizes found there: worse networks are not candidates."""
    low = dense - 100 * FOCUS
    seen = [group for group in comparison.points if 100 * (group.mean("val_accuracy") or 0) >= low]
    sizes, accuracies = _by_size(seen)
    top, bottom = span([dense, *accuracies], low)
    axes.set_ylim(bottom, top)
    if sizes:
        axes.set_xlim(0.8 * min(sizes), 1.25 * max([*sizes, comparison.dense["size_bytes"] / 1e3]))
