"""The main picture of a sweep: what accuracy is left at which sparsity, size, multiplications and measured time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.config import ReferencePoint
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.lines import Line, best_lines, by_what_follows, lines_of, pareto
from sweeps.reporting.figures.style import COLOURS, methods_of, plain_ticks, span, style, tidy
from sweeps.reporting.results import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZOOM = 0.05
"""How far below the dense network the close-ups reach, as accuracy."""
MOST_IN_PANEL = 9
"""More lines than this cannot be told apart."""
MOST_PANELS = 6
LEAST_SPAN = 2.0
"""Points of accuracy that the whole range shows, however close its curves are."""


@dataclass(frozen=True)
class Measure:
    """A horizontal axis.

    Attributes:
        label: with its unit.
        of: the value of a group, None if unknown.
        published: the value of a published point, None if unknown.
        log: whether the axis is logarithmic.
        noisy: whether the values are measured: points that only noise separates are not joined.
    """

    label: str
    of: Callable[[Group], float | None]
    published: Callable[[ReferencePoint, Comparison], float | None] = lambda point, comparison: None
    log: bool = False
    noisy: bool = False


SPARSITY = Measure(
    "sparsity (% of prunable weights that are zero)",
    lambda group: _times(100, group.mean("sparsity")),
    lambda point, comparison: _times(100, point.metrics.get("sparsity")),
)
SIZE = Measure(
    "compression ratio (dense bytes / compressed bytes)",
    lambda group: group.mean("compression_ratio"),
    lambda point, comparison: point.metrics.get("compression_ratio"),
    log=True,
)
MACS = Measure(
    "multiplications left (% of dense, zeros not counted)",
    lambda group: _share(group.mean("macs"), group.mean("macs_baseline")),
    lambda point, comparison: _share(point.metrics.get("macs"), comparison.dense.get("macs")),
)
LATENCY = Measure(
    "time of a batch (% of dense; 100 where the matrices are as large)",
    lambda group: _time(group),
    noisy=True,
)


def accuracy_figure(comparison: Comparison) -> "Figure":
    """Test accuracy, all of it against sparsity, and near dense against sparsity, size, multiplications and time.

    One line a method (and axis that parts it), mean over seeds with the standard deviation as bars; the dense network
    as a dashed line; published points as hollow stars. Where lines are too many for one panel, the whole range gets a
    panel for each thing that follows pruning, and the close-ups show each method's best points.
    """
    from matplotlib.figure import Figure

    whole, near = _panels(comparison)
    columns = min(2, len(whole))
    upper = -(-len(whole) // columns)
    figure = Figure(figsize=(11, 3.4 * upper + 7.4), layout="constrained")
    seeds = len({seed for group in comparison.points for seed in group.seeds})
    over = f"mean and standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    grid = figure.add_gridspec(upper + 2, 2)
    for number, (title, lines) in enumerate(whole.items()):
        row, column = divmod(number, columns)
        axes = figure.add_subplot(grid[row, column] if columns > 1 else grid[row, :])
        _panel(axes, comparison, SPARSITY, lines)
        _widen(axes)
        axes.set_title(title, loc="left", fontsize=10)
    named = [entry for axes in figure.axes for entry in zip(*axes.get_legend_handles_labels(), strict=True)]
    legend = {name: handle for handle, name in named}
    for number, measure in enumerate((SPARSITY, SIZE, MACS, LATENCY)):
        row, column = divmod(number, 2)
        axes = figure.add_subplot(grid[upper + row, column])
        _panel(axes, comparison, measure, near)
        _zoom(axes, comparison, measure)
        if measure is SPARSITY:
            best = any(line.is_cloud for line in near)
            axes.set_title("near the dense network" + ": each method's best points" * best, loc="left", fontsize=10)
    how: dict[str, Any] = {"ncols": 5 if max(map(len, legend)) < 28 else 3, "frameon": False, "fontsize": 9}
    how |= {"title": f"{comparison.title} ({over})", "title_fontsize": 12}
    figure.legend(legend.values(), legend.keys(), loc="outside upper center", **how)
    return figure


def _panels(comparison: Comparison) -> tuple[dict[str, list[Line]], list[Line]]:
    """({title: lines} of the whole range, lines of the close-ups)."""
    lines = lines_of(comparison.points)
    if len(lines) <= MOST_IN_PANEL:
        return {"the whole range": lines}, lines
    best = best_lines(comparison.points)
    apart = by_what_follows(lines_of(comparison.points, most=MOST_IN_PANEL))
    if len(apart) <= MOST_PANELS and max(map(len, apart.values())) <= MOST_IN_PANEL:
        return apart, best
    return {"the whole range: each method's best points": best}, best


def _panel(axes: "Axes", comparison: Comparison, measure: Measure, lines: Sequence[Line]) -> None:
    methods = methods_of(comparison)
    for line in lines:
        how = style(line, methods)
        members = line.groups
        if line.is_cloud:
            placed = _placed(members, measure)
            loose = {**how, "linestyle": "", "alpha": 0.3, "markersize": 3}
            axes.plot([x for x, _, _ in placed], [y for _, y, _ in placed], **loose)
            members = tuple(_envelope(members, measure))
        placed = _placed(members, measure)
        if not line.axis:
            placed.sort(key=lambda point: point[0])
        spread = [100 * (group.spread("accuracy") or 0) for _, _, group in placed]
        xs, ys = [x for x, _, _ in placed], [y for _, y, _ in placed]
        # Points that this axis does not tell apart are not joined to a line.
        if measure.noisy or (xs and max(xs) - min(xs) <= 0.01 * max(map(abs, xs))):
            how = {**how, "linestyle": ""}
        axes.errorbar(xs, ys, yerr=spread, capsize=2, elinewidth=0.8, label=line.label, **how)
    if "accuracy" in comparison.dense:
        dense = 100 * comparison.dense["accuracy"]
        axes.axhline(dense, color="#555555", linestyle="--", linewidth=1, label=f"dense: {dense:.2f} %")
    _published(axes, comparison, measure, methods)
    tidy(axes)
    axes.set(xlabel=measure.label, ylabel="test accuracy (%)")
    if measure.log:
        plain_ticks(axes)
    elif measure is SPARSITY:
        axes.set_xlim(-3, 103)
    else:
        axes.set_xlim(left=0)


def _published(axes: "Axes", comparison: Comparison, measure: Measure, methods: Sequence[str]) -> None:
    for method in dict.fromkeys(point.method for point in comparison.published):
        index = methods.index(method) if method in methods else len(methods)
        placed = [
            (x, 100 * point.metrics["accuracy"])
            for point in comparison.published
            if point.method == method
            and "accuracy" in point.metrics
            and (x := measure.published(point, comparison)) is not None
        ]
        axes.plot(
            [x for x, _ in placed],
            [y for _, y in placed],
            linestyle="",
            marker="*",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=COLOURS[index % len(COLOURS)],
            markeredgewidth=1.3,
            label=f"published: {method}",
            zorder=4,
        )


def _widen(axes: "Axes") -> None:
    """Let the vertical axis span LEAST_SPAN at least: differences below are those of single samples."""
    bottom, top = axes.get_ylim()
    if top - bottom < LEAST_SPAN:
        middle = (bottom + top) / 2
        axes.set_ylim(middle - LEAST_SPAN / 2, middle + LEAST_SPAN / 2)


def _zoom(axes: "Axes", comparison: Comparison, measure: Measure) -> None:
    """Show what is at most ZOOM below the dense network, and as much of the horizontal axis as that takes."""
    if "accuracy" not in comparison.dense:
        return
    low = 100 * (comparison.dense["accuracy"] - ZOOM)
    near = [(x, y) for x, y, _ in _placed(comparison.points, measure) if y >= low]
    for point in comparison.published:
        x, y = measure.published(point, comparison), point.metrics.get("accuracy")
        if x is not None and y is not None and 100 * y >= low:
            near.append((x, 100 * y))
    top, bottom = span([100 * comparison.dense["accuracy"], *(y for _, y in near)], low)
    axes.set_ylim(bottom, top)
    if near and measure is not SPARSITY:
        right = max(x for x, _ in near)
        axes.set_xlim(0.9 * min(x for x, _ in near) if measure.log else 0, 1.12 * right)


def _placed(members: Sequence[Group], measure: Measure) -> list[tuple[float, float, Group]]:
    return [
        (x, 100 * y, group)
        for group in members
        if (x := measure.of(group)) is not None and (y := group.mean("accuracy")) is not None
    ]


def _envelope(members: Sequence[Group], measure: Measure) -> list[Group]:
    """The best of a cloud: more to the right is better for sparsity and size, to the left for multiplications, time."""
    sign = 1 if measure in (MACS, LATENCY) else -1
    best: list[Group] = []
    for group in pareto(members, lambda group: _times(sign, measure.of(group)), lambda group: group.mean("accuracy")):
        if best and abs((measure.of(group) or 0) - (last := measure.of(best[-1]) or 0)) <= 0.02 * abs(last):
            best.pop()  # as good as equal on this axis, and less accurate
        best.append(group)
    return best


def _time(group: Group) -> float | None:
    """If the matrices have the dense network's shapes, a measured difference is noise."""
    measured = _share(group.mean("latency_ms"), group.mean("latency_ms_baseline"))
    return measured if measured is None or group.is_shrunk else 100.0


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _share(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None
