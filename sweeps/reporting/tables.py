"""The tables of a report, as HTML: choices, published numbers, size and speed, RVSM, all trials, trouble."""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

from sweeps.config import ReferencePoint
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.comparison import front_of
from sweeps.reporting.markup import Cell, number, table
from sweeps.reporting.record import FailureNote
from sweeps.reporting.results import TOLERANCES, UNCHANGED, Group, Row, choices
from sweeps.specs import TrialSpec, describe_axes, format_value

MOST_MATCHES = 3
_FIGURES = ("test acc. %", "drop, points", "zeros %", "kB", "times smaller", "mult., % of dense", "times faster")


def choice_table(comparison: Comparison) -> str:
    """The smallest network within each tolerance, and the knee: chosen on validation, reported on test."""
    rows: list[list[Cell | str]] = [_dense(comparison)] if comparison.dense else []
    knee = comparison.standard_error
    for choice in choices(comparison.points, sorted({*TOLERANCES, knee})):
        points = f"{100 * choice.tolerance:.2g} point" + "s" * (choice.tolerance != 0.01)
        lost = "nothing" if not choice.tolerance else f"{points}, the knee" if choice.tolerance == knee else points
        if choice.group is None:
            rows.append([lost, "none", *[Cell("", None, True)] * len(_FIGURES)])
        else:
            rows.append([lost, choice.group.label, *figures(choice.group)])
    return table(
        ["may lose", "method", *_FIGURES],
        rows,
        "Smallest network within a tolerance of dense: chosen by mean validation accuracy, test accuracy reported. The "
        "knee may lose one standard error of dense on validation.",
    )


def front_table(comparison: Comparison) -> str:
    """The Pareto front of size and validation accuracy."""
    rows: list[list[Cell | str]] = [
        [number(place, "{:.0f}"), group.label, number(_percent(group.mean("val_accuracy"))), *figures(group)]
        for place, group in enumerate(front_of(comparison), start=1)
    ]
    return table(["no.", "method", "val. acc. %", *_FIGURES], rows, "The Pareto front, largest network first.", True)


def published_table(comparison: Comparison) -> str:
    """The source's numbers and ours side by side; empty where nothing was published on this network and dataset."""
    rows: list[list[Cell | str]] = [
        ["dense", name, *_beside(name, value, comparison.dense.get(name)), "dense"]
        for name, value in (comparison.reference.dense if comparison.reference else {}).items()
    ]
    for point in comparison.published:
        for group in _counterparts(point, comparison.points):
            ours = group.label if group else "not in this sweep"
            for name, value in point.metrics.items():
                if name not in point.axes:  # a requested value is not a result
                    mean, spread = (group.mean(name), group.spread(name)) if group else (None, None)
                    rows.append([_described(point), name, *_beside(name, value, mean, spread), ours])
    if not rows or comparison.reference is None:
        return ""
    caption = f"Published ({comparison.reference.source}) and here, mean ± standard deviation over seeds; shares in %."
    return table(["published", "metric", "there", "here", "difference", "our trial"], rows, caption, sortable=True)


def speed_table(comparison: Comparison, with_zeros: Callable[[Group], float | None]) -> str:
    """Bytes and milliseconds of the dense network and of each method's choice.

    Args:
        comparison: with its points.
        with_zeros: bytes of a group's network with its zeros left in place, None if unknown.
    """
    chosen = representatives(comparison)
    measured = [ms for group in chosen if (ms := group.mean("latency_ms_baseline")) is not None]
    latency = fmean(measured) if measured else None
    size = comparison.dense.get("size_bytes")
    rows: list[list[Cell | str]] = []
    if comparison.dense:
        times = [number(latency, "{:.2f}"), number(latency, "{:.2f}"), number(1.0)]
        macs = number(_kilo(comparison.dense.get("macs")), "{:,.0f}")
        rows.append(["dense", "as trained", *_sizes(size, size, 1.0), *times, macs])
    for group in chosen:
        stored, ratio = group.mean("size_bytes"), group.mean("compression_ratio")
        took = [number(group.mean(name), "{:.2f}") for name in ("latency_ms", "latency_ms_baseline")]
        cells = [*_sizes(with_zeros(group), stored, ratio), *took, _faster(group)]
        rows.append([group.label, delivered(group), *cells, number(_kilo(group.mean("macs")), "{:,.0f}")])
    heads = ["network", "delivered", "kB, zeros in place", "kB delivered", "times smaller"]
    heads += ["ms", "ms of dense", "times faster", "thousand mult."]
    caption = (
        "Each method's smallest network within 1 point of dense, else its most accurate. kB: a file that decodes to "
        "exactly this network, entropy-coded for all. Zeros in place: the dense weights under the same masks, before "
        "units are taken out, weights shared or training goes on. ms: one batch, dense and pruned timed in turns; "
        "where the matrices have the dense network's shapes, a difference is the scatter of the measurement."
    )
    return table(heads, rows, caption)


def _sizes(with_zeros: float | None, stored: float | None, ratio: float | None) -> list[Cell]:
    kilobytes = [number(_kilo(size), "{:,.1f}") for size in (with_zeros, stored)]
    return [*kilobytes, number(ratio, "{:.1f}")]


def _faster(group: Group) -> Cell:
    return number(group.mean("speedup"), "{:.2f}") if group.is_shrunk else Cell(UNCHANGED, 1.0, True)


def rvsm_table(comparison: Comparison) -> str:
    """Accuracy with w, with u and with the reversed mask; empty without RVSM."""
    trained = [group for group in comparison.points if group.mean("accuracy_reversed") is not None]
    rows: list[list[Cell | str]] = [
        [
            group.label,
            number(_percent(group.mean("sparsity")), "{:.1f}"),
            *(
                number(_percent(group.mean(f"accuracy_{which}")), "{:.2f}", _percent(group.spread(f"accuracy_{which}")))
                for which in ("w", "u", "reversed")
            ),
        ]
        for group in trained
    ]
    heads = ["method", "zeros %", "with w %", "with u %", "reversed mask %"]
    return table(heads, rows, "Test accuracy of RVSM's two copies, and of the weights it removed.") if rows else ""


def trials_table(comparison: Comparison) -> str:
    """Every grid point, means over seeds, sortable."""
    rows: list[list[Cell | str]] = [
        [
            group.label,
            format_value(list(group.seeds)),
            number(_percent(group.mean("val_accuracy"))),
            *figures(group),
            number(group.mean("unique_values"), "{:,.0f}"),
            _units(group),
        ]
        for group in comparison.points
    ]
    heads = ["method", "seeds", "val. acc. %", *_FIGURES, "distinct values", "units left"]
    return table(heads, rows, "Click a column to sort by it.", sortable=True)


def failure_table(failures: Sequence[FailureNote]) -> str:
    """What has no result."""
    rows: list[list[Cell | str]] = [[failure.status, failure.label, failure.reason] for failure in failures]
    return table(["status", "work", "why"], rows) if rows else ""


def warning_table(rows: Sequence[Row]) -> str:
    """What finished with a warning: nothing pruned, a layer dead, a layer that had to stay whole."""
    told: Counter[tuple[str, str]] = Counter()
    for row in rows:
        label = _without_seed(row.work) if isinstance(row.work, TrialSpec) else row.work.label
        for warning in filter(None, row.result.tags.get("warning", "").split("; ")):
            told[label, warning] += 1
    cells: list[list[Cell | str]] = [
        [label, warning, number(count, "{:.0f}")] for (label, warning), count in told.items()
    ]
    return table(["work", "warning", "seeds"], cells) if cells else ""


def representatives(comparison: Comparison) -> list[Group]:
    """For each method its smallest network within a point of dense, else its most accurate one, on validation."""
    found = []
    for method in dict.fromkeys(group.method for group in comparison.points):
        members = [group for group in comparison.points if group.method == method]
        (choice,) = choices(members, tolerances=(0.01,))
        found.append(choice.group or max(members, key=lambda group: group.mean("val_accuracy") or 0))
    return found


def delivered(group: Group) -> str:
    """What the delivered network is: shrunk, with zeros, with shared weights."""
    parts = ["shrunk"] if group.is_shrunk else ["zeros in place"] if group.mean("sparsity") else []
    parts += ["weights shared"] if group.mean("unique_values") else []
    return ", ".join(parts) or "as it was"


def figures(group: Group) -> list[Cell]:
    """The figures that every table of groups shows, in the order of their headings."""
    spread = _percent(group.spread("accuracy"))
    macs, dense = group.mean("macs"), group.mean("macs_baseline")
    return [
        number(_percent(group.mean("accuracy")), "{:.2f}", spread),
        number(_percent(group.mean("accuracy_drop")), "{:+.2f}"),
        number(_percent(group.mean("sparsity")), "{:.1f}"),
        number(_kilo(group.mean("size_bytes")), "{:,.1f}"),
        number(group.mean("compression_ratio"), "{:.1f}"),
        number(100 * macs / dense if macs is not None and dense else None, "{:.1f}"),
        _faster(group),
    ]


def _dense(comparison: Comparison) -> list[Cell | str]:
    ones = [number(100.0, "{:.1f}"), number(1.0, "{:.2f}")]
    return [
        "",
        "dense",
        number(_percent(comparison.dense.get("accuracy"))),
        number(0.0, "{:+.2f}"),
        number(0.0, "{:.1f}"),
        number(_kilo(comparison.dense.get("size_bytes")), "{:,.1f}"),
        number(1.0, "{:.1f}"),
        *ones,
    ]


def _counterparts(point: ReferencePoint, points: Sequence[Group]) -> list[Group | None]:
    """The groups that match a published point; of several, the one of nearest sparsity, or else of highest accuracy."""
    found = [group for group in points if point.matches(group.method, group.axes)]
    if len(found) > MOST_MATCHES:
        sparsity = point.metrics.get("sparsity")
        if sparsity is None:
            return [max(found, key=lambda group: group.mean("val_accuracy") or 0)]
        return [min(found, key=lambda group: abs((group.mean("sparsity") or 0) - sparsity))]
    return [*found] or [None]


def _beside(name: str, there: float, here: float | None, spread: float | None = None) -> list[Cell]:
    """A published number, ours, and the difference."""
    is_share = name.startswith(("accuracy", "sparsity"))
    scale, form = (100, "{:.2f}") if is_share else (1, "{:,.4g}" if there < 1e4 else "{:,.0f}")
    ours = _times(scale, here)
    return [
        number(scale * there, form),
        number(ours, form, _times(scale, spread)),
        number(None if ours is None else ours - scale * there, form.replace(":", ":+")),
    ]


def _described(point: ReferencePoint) -> str:
    return f"{point.method} {describe_axes(point.axes)}".strip()


def _without_seed(work: TrialSpec) -> str:
    return work.label.rpartition(" seed ")[0]


def _units(group: Group) -> str:
    names = [name for name in group.metrics if name.startswith("units.")]
    return " · ".join(f"{group.mean(name):.4g}" for name in names)


def _percent(value: float | None) -> float | None:
    return _times(100, value)


def _kilo(value: float | None) -> float | None:
    return _times(1e-3, value)


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value
