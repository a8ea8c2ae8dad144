"""The picture of a sweep: what accuracy is left at which sparsity and at which size."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sweeps.report import Group, Row, groups
from sweeps.specs import BaselineSpec, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours without yellow, which vanishes on white; markers tell curves apart without any colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*X"


def accuracy_curves(rows: Sequence[Row], folder: Path) -> list[Path]:
    """One PNG for every network and dataset of `rows` that has trials; returns the files.

    Left: test accuracy against sparsity; right: against compression ratio (log). One curve a method, mean over seeds
    with the standard deviation as bars; the dense network as a dashed line.
    """
    points = groups(rows)
    pairs = list(dict.fromkeys((group.model, group.dataset) for group in points))
    files = []
    for model, dataset in pairs:
        name = "accuracy_vs_sparsity" + (f"_{model}_{dataset}" if len(pairs) > 1 else "")
        here = [group for group in points if (group.model, group.dataset) == (model, dataset)]
        dense = [
            row.result.metrics["accuracy"]
            for row in rows
            if isinstance(row.work, BaselineSpec) and (row.work.model, row.work.dataset) == (model, dataset)
        ]
        files.append(folder / (re.sub(r"[^\w.-]", "_", name) + ".png"))
        _draw(here, fmean(dense) if dense else None, f"{model} on {dataset}", files[-1])
    return files


def _draw(points: Sequence[Group], dense: float | None, title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    seeds = len({seed for group in points for seed in group.seeds})
    over = f"mean and standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    figure.suptitle(f"{title} ({over})", fontsize=12)
    sparsity, size = figure.subplots(1, 2, sharey=True)
    curves = _curves(points)
    for index, (label, members) in enumerate(curves.items()):
        style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "label": label}
        style["linestyle"] = "-" if index < len(COLOURS) else ":"
        _curve(sparsity, members, "sparsity", 100, style)
        _curve(size, members, "compression_ratio", 1, style)
    for axes in (sparsity, size):
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if dense is not None:
            axes.axhline(100 * dense, color="#555555", linestyle="--", linewidth=1, label=f"dense: {100 * dense:.2f} %")
    sparsity.set(xlabel="sparsity (% of prunable weights that are zero)", ylabel="test accuracy (%)")
    sparsity.set_xlim(-3, 103)
    size.set_xscale("log")
    size.set_xlabel("compression ratio (dense bytes / compressed bytes)")
    _plain_ticks(size)
    handles, labels = sparsity.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
    figure.savefig(path, dpi=110)


def _curves(points: Sequence[Group]) -> dict[str, list[Group]]:
    """The points by method and by those of its axes that are no numbers, such as granularity or recovery."""
    curves: dict[str, list[Group]] = {}
    shown = _distinguishing(points)
    for group in points:
        names = [f"{name}={format_value(group.axes[name])}" for name in shown[group.method] if name in group.axes]
        curves.setdefault(" ".join([group.method, *names]), []).append(group)
    return curves


def _distinguishing(points: Sequence[Group]) -> Mapping[str, list[str]]:
    """For each method, the axes that part its points into curves: not numbers throughout, and more than one value."""
    values: dict[str, dict[str, list[Any]]] = {}
    for group in points:
        axes = values.setdefault(group.method, {})
        for name, value in group.axes.items():
            axes.setdefault(name, []).append(value)
    return {
        method: [n for n, column in axes.items() if not all(map(_is_point, column)) and len({*map(str, column)}) > 1]
        for method, axes in values.items()
    }


def _is_point(value: Any) -> bool:
    """Whether a value lies on a curve: a number, or one for each layer."""
    return isinstance(value, (int, float, list, tuple)) and not isinstance(value, bool)


def _curve(axes: "Axes", members: Sequence[Group], metric: str, scale: float, style: Mapping[str, Any]) -> None:
    placed = [
        (x, y, group)
        for group in members
        if (x := group.mean(metric)) is not None and (y := group.mean("accuracy")) is not None
    ]
    placed.sort(key=lambda point: point[0])
    axes.errorbar(
        [scale * x for x, _, _ in placed],
        [100 * y for _, y, _ in placed],
        yerr=[100 * (group.spread("accuracy") or 0) for _, _, group in placed],
        capsize=2,
        markersize=5,
        linewidth=1.4,
        elinewidth=0.8,
        **style,
    )


def _plain_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
