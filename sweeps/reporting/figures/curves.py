"""The main picture of a sweep: what accuracy is left at which sparsity, size, multiplications and measured time."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sweeps.reporting.figures.lines import Line, lines_of, pareto
from sweeps.reporting.reference import Reference, ReferencePoint
from sweeps.reporting.results import Group, Row, groups
from sweeps.specs import BaselineSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours without yellow, which vanishes on white; markers tell curves apart without any colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*X"
STROKES = ("-", "--", ":", "-.")
ZOOM = 0.05
"""How far below the dense network the close-ups reach, as accuracy."""


@dataclass(frozen=True)
class Scene:
    """Everything on one network and one dataset.

    Attributes:
        model, dataset: names.
        points: groups over seeds.
        dense: metrics of the dense network, means over seeds; {} if none is finished.
        reference: published points that may stand beside them, and what to call them.
    """

    model: str
    dataset: str
    points: tuple[Group, ...]
    dense: Mapping[str, float]
    reference: Reference | None

    @property
    def title(self) -> str:
        """ "lenet_300_100 on mnist_5k"."""
        return f"{self.model} on {self.dataset}"

    @property
    def published(self) -> tuple[ReferencePoint, ...]:
        """The source's points on this network and dataset."""
        return self.reference.points_on(self.model, self.dataset) if self.reference else ()


@dataclass(frozen=True)
class Measure:
    """A horizontal axis.

    Attributes:
        label: with its unit.
        of: the value of a group, None if unknown.
        published: the value of a published point, None if unknown.
        log: whether the axis is logarithmic.
        noisy: whether the values are measured: points that only noise sets apart are not joined.
    """

    label: str
    of: Callable[[Group], float | None]
    published: Callable[[ReferencePoint, Scene], float | None] = lambda point, scene: None
    log: bool = False
    noisy: bool = False


SPARSITY = Measure(
    "sparsity (% of prunable weights that are zero)",
    lambda group: _times(100, group.mean("sparsity")),
    lambda point, scene: _times(100, point.metrics.get("sparsity")),
)
SIZE = Measure(
    "compression ratio (dense bytes / compressed bytes)",
    lambda group: group.mean("compression_ratio"),
    lambda point, scene: point.metrics.get("compression_ratio"),
    log=True,
)
MACS = Measure(
    "multiplications left (% of dense, zeros not counted)",
    lambda group: _share(group.mean("macs"), group.mean("macs_baseline")),
    lambda point, scene: _share(point.metrics.get("macs"), scene.dense.get("macs")),
)
LATENCY = Measure(
    "measured time of a batch (% of dense, timed in turns)",
    lambda group: _share(group.mean("latency_ms"), group.mean("latency_ms_baseline")),
    noisy=True,
)


def scenes(rows: Sequence[Row], reference: Reference | None = None) -> list[Scene]:
    """One scene for every network and dataset that has trials, in order of appearance."""
    points = groups(rows)
    found = []
    for model, dataset in dict.fromkeys((group.model, group.dataset) for group in points):
        baselines = [
            row.result.metrics
            for row in rows
            if isinstance(row.work, BaselineSpec) and (row.work.model, row.work.dataset) == (model, dataset)
        ]
        names = baselines[0] if baselines else {}
        dense = {name: fmean(b[name] for b in baselines if name in b) for name in names}
        here = tuple(group for group in points if (group.model, group.dataset) == (model, dataset))
        is_about = reference is not None and (reference.model, reference.dataset) == (model, dataset)
        found.append(Scene(model, dataset, here, dense, reference if is_about else None))
    return found


def accuracy_curves(rows: Sequence[Row], folder: Path, reference: Reference | None = None) -> list[Path]:
    """`accuracy_figure` as one PNG for every network and dataset of `rows` that has trials; returns the files."""
    found = scenes(rows, reference)
    files = []
    for scene in found:
        name = "accuracy_vs_sparsity" + (f"_{scene.model}_{scene.dataset}" if len(found) > 1 else "")
        files.append(folder / (re.sub(r"[^\w.-]", "_", name) + ".png"))
        accuracy_figure(scene).savefig(files[-1], dpi=110)
    return files


def accuracy_figure(scene: Scene) -> "Figure":
    """Test accuracy, all of it against sparsity, and near dense against sparsity, size, multiplications and time.

    One line a method (and axis that parts it), mean over seeds with the standard deviation as bars; the dense network
    as a dashed line; published points as hollow stars.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 11), layout="constrained")
    seeds = len({seed for group in scene.points for seed in group.seeds})
    over = f"mean and standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    figure.suptitle(f"{scene.title} ({over})", fontsize=12)
    grid = figure.add_gridspec(3, 2)
    whole = figure.add_subplot(grid[0, :])
    _panel(whole, scene, SPARSITY)
    whole.set_title("the whole range", loc="left", fontsize=10)
    for place, measure in zip(((1, 0), (1, 1), (2, 0), (2, 1)), (SPARSITY, SIZE, MACS, LATENCY), strict=True):
        axes = figure.add_subplot(grid[place])
        _panel(axes, scene, measure)
        _zoom(axes, scene, measure)
    figure.axes[1].set_title("near the dense network", loc="left", fontsize=10)
    handles, labels = whole.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    return figure


def style(line: Line, methods: Sequence[str]) -> dict[str, Any]:
    """How a line is drawn: colour and marker tell the method, the stroke which of its lines."""
    index = methods.index(line.method)
    colour = COLOURS[index % len(COLOURS)]
    filled = line.number % 2 == 0
    return {
        "color": colour,
        "marker": MARKERS[index % len(MARKERS)],
        "markerfacecolor": colour if filled else "white",
        "linestyle": STROKES[line.number % len(STROKES)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def tidy(axes: "Axes") -> None:
    """A light grid behind the data, no frame to the right and above."""
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def span(values: Sequence[float], low: float) -> tuple[float, float]:
    """(top, bottom) of a close-up of percentages: all of `values` with some air, at least a point, from `low` on."""
    room = max(1.0, max(values) - min(values))
    return max(values) + 0.12 * room, max(low, max(values) - 1.15 * room)


def plain_ticks(axes: "Axes") -> None:
    """A logarithmic axis with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def methods_of(scene: Scene) -> list[str]:
    """In order of appearance, which is the order of colours."""
    return list(dict.fromkeys(group.method for group in scene.points))


def _panel(axes: "Axes", scene: Scene, measure: Measure) -> None:
    methods = methods_of(scene)
    for line in lines_of(scene.points):
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
        # What this axis does not tell apart makes no line.
        if measure.noisy or (xs and max(xs) - min(xs) <= 0.01 * max(map(abs, xs))):
            how = {**how, "linestyle": ""}
        axes.errorbar(xs, ys, yerr=spread, capsize=2, elinewidth=0.8, label=line.label, **how)
    if "accuracy" in scene.dense:
        dense = 100 * scene.dense["accuracy"]
        axes.axhline(dense, color="#555555", linestyle="--", linewidth=1, label=f"dense: {dense:.2f} %")
    _published(axes, scene, measure, methods)
    tidy(axes)
    axes.set(xlabel=measure.label, ylabel="test accuracy (%)")
    if measure.log:
        plain_ticks(axes)
    elif measure is SPARSITY:
        axes.set_xlim(-3, 103)
    else:
        axes.set_xlim(left=0)


def _published(axes: "Axes", scene: Scene, measure: Measure, methods: Sequence[str]) -> None:
    for method in dict.fromkeys(point.method for point in scene.published):
        index = methods.index(method) if method in methods else len(methods)
        placed = [
            (x, 100 * point.metrics["accuracy"])
            for point in scene.published
            if point.method == method
            and "accuracy" in point.metrics
            and (x := measure.published(point, scene)) is not None
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


def _zoom(axes: "Axes", scene: Scene, measure: Measure) -> None:
    """Show what is at most ZOOM below the dense network, and as much of the horizontal axis as that takes."""
    if "accuracy" not in scene.dense:
        return
    low = 100 * (scene.dense["accuracy"] - ZOOM)
    near = [(x, y) for x, y, _ in _placed(scene.points, measure) if y >= low]
    for point in scene.published:
        x, y = measure.published(point, scene), point.metrics.get("accuracy")
        if x is not None and y is not None and 100 * y >= low:
            near.append((x, 100 * y))
    top, bottom = span([100 * scene.dense["accuracy"], *(y for _, y in near)], low)
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
    return pareto(members, lambda group: _times(sign, measure.of(group)), lambda group: group.mean("accuracy"))


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _share(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None
