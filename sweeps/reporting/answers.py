"""The two questions that people ask most, answered in plain words from the sweep's own measurements.

"I pruned, but size and speed did not change" and "how do I choose the ratio?"
"""

from collections.abc import Iterator, Sequence

from prune_core.axes import NONE
from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.lines import Line, lines_of
from sweeps.reporting.markup import Cell, details, table, text
from sweeps.reporting.results import TOLERANCES, Group, choices
from sweeps.specs import describe_axes, format_value

MOST_LINES = 12
"""Lines of one method that get a row each; with more, its best points stand for it."""
MOST_ROWS = 10
"""Rows of the table that are not folded away."""
CONTROL = "random"
"""The control: other methods must beat it, and it is not an example of what pruning does."""
Reached = Sequence[tuple[Line, Sequence[Group | None]]]
"""Lines, each with its smallest network within each of TOLERANCES."""


def size_and_speed(comparison: Comparison) -> str:
    """Whether the networks became smaller and faster, for each kind that the sweep delivers, and why."""
    told = [_said(kind, members, comparison) for kind, members in _kinds(comparison.points).items()]
    if not told:
        return ""
    if not any(group.is_shrunk for group in comparison.points):
        told.append(
            "<b>To get a faster network</b>, remove whole units: <code>method=unit</code> or "
            "<code>method=importance</code> take them out of the matrices."
        )
    return "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in told) + "</ul>"


def speed(group: Group) -> str:
    """The part of a sentence about a smaller network that tells its speed; "" where it was not measured."""
    if not group.is_shrunk:
        return " to store, but not faster, since its matrices keep the shapes of the dense ones,"
    faster = group.mean("speedup")
    if faster is None:
        return ""
    return f" and {faster:.1f} times faster" if faster >= 1.05 else ", though not faster as measured,"


def ratio(comparison: Comparison) -> str:
    """How far each method goes within each tolerance, and where to look closer."""
    reached = [(line, _furthest(line.groups)) for line in lines_of(comparison.points, MOST_LINES)]
    if not any(group for _, groups in reached for group in groups):
        return (
            "<p>No pruned network here stays within 2 points of dense on validation: prune less, or train on after "
            "pruning, <code>recovery=finetune</code>.</p>"
        )
    parts = [
        "<p>Choose what the network may lose; the cell says how far the method goes within that, and how many times "
        "smaller it gets. Losses are of the validation split, means over seeds, so that the test split stays "
        f"unseen until the choice is made.{_doubt(comparison)}</p>",
        _reach_table(reached),
        *(f"<p>{sentence}</p>" for sentence in (*_recovered(reached), *_closer(comparison))),
    ]
    return "".join(parts)


def _kinds(points: Sequence[Group]) -> dict[str, list[Group]]:
    """The pruned networks by what was done to them in the end."""
    found: dict[str, list[Group]] = {}
    for group in points:
        if group.mean("unique_values"):
            found.setdefault("shared", []).append(group)
        elif group.is_shrunk:
            found.setdefault("shrunk", []).append(group)
        elif group.mean("sparsity"):
            found.setdefault("zeros", []).append(group)
    return {kind: found[kind] for kind in ("zeros", "shrunk", "shared") if kind in found}


def _said(kind: str, members: Sequence[Group], comparison: Comparison) -> str:
    members = [group for group in members if group.method != CONTROL] or members
    (choice,) = choices(members, tolerances=(0.01,))
    group = choice.group or max(members, key=lambda g: g.mean("val_accuracy") or 0)
    name = f"<b>{_TITLES[kind]}</b>, such as {text(group.label)}: "
    smaller = group.mean("compression_ratio")
    stored = f"{_size(group.mean('size_bytes'))} instead of {_size(comparison.dense.get('size_bytes'))}"
    size = f"{stored}, {smaller:.1f} times smaller" if smaller else stored
    if kind == "zeros":
        return (
            f"{name}{100 * (group.mean('sparsity') or 0):.0f} % of the weights are zero, but they are still in the "
            f"matrices, so memory and time stay what they were{_noise(comparison)}. Only what is stored shrinks, "
            f"because zeros pack well: {size}."
        )
    if kind == "shrunk":
        faster = group.mean("speedup")
        time = f"It ran {faster:.2f} times as fast as dense, and is stored in" if faster else "It is stored in"
        return f"{name}the matrices themselves are smaller, in memory as well. {time} {size}."
    return (
        f"{name}the weights take {group.mean('unique_values'):,.0f} distinct values, which are stored once: {size}. "
        "Loaded again they are ordinary weights: memory and time depend on the matrices, not on the values."
    )


_TITLES = {"zeros": "Zeros in place", "shrunk": "Units removed", "shared": "Weights shared"}


def _noise(comparison: Comparison) -> str:
    """The scatter of the measured times of networks with unchanged matrices."""
    speeds = [s for group in comparison.points if not group.is_shrunk and (s := group.mean("speedup")) is not None]
    if not speeds:
        return ""
    return (
        f" (measured: {min(speeds):.2f} to {max(speeds):.2f} times as fast in all {len(speeds)} points with unchanged "
        "matrices, which is the scatter of the measurement)"
    )


def _furthest(points: Sequence[Group]) -> list[Group | None]:
    return [choice.group for choice in choices(points, TOLERANCES)]


def _reach_table(reached: Reached) -> str:
    heads = ["method", "along", *("nothing" if not t else f"{100 * t:g} point{'s' * (t != 0.01)}" for t in TOLERANCES)]
    rows: list[list[Cell | str]] = [
        [line.label, line.axis or "", *(_reach(line, group) for group in groups)] for line, groups in reached
    ]
    caption = "The furthest point that may lose so much. Empty: every point of the sweep loses more."
    folded = rows[MOST_ROWS:]
    more = details(f"and {len(folded)} more", table(heads, folded)) if folded else ""
    return table(heads, rows[:MOST_ROWS], caption) + more


def _reach(line: Line, group: Group | None) -> Cell:
    if group is None:
        return Cell("")
    at = format_value(group.axes.get(line.axis)) if line.axis else describe_axes(group.axes)
    return Cell(f"{at} · {group.mean('compression_ratio') or 1:.1f}x")


def _doubt(comparison: Comparison) -> str:
    if not comparison.standard_error:
        return ""
    points = 100 * comparison.standard_error
    return (
        f" It has {comparison.val_samples:,} samples, which leaves the accuracy of one network uncertain by "
        f"{points:.1f} points (standard error): do not read more into a difference than that."
    )


def _recovered(reached: Reached) -> Iterator[str]:
    """What each recovery gains, for lines that are in the sweep with and without it."""
    at = TOLERANCES.index(0.01)
    plain = {_twin(line): groups[at] for line, groups in reached if line.rest.get("recovery") == NONE}
    for line, groups in reached:
        after, before = groups[at], plain.get(_twin(line))
        recovery = line.rest.get("recovery", NONE)
        if recovery != NONE and line.axis and after and before and after.axes != before.axes:
            first, second = (format_value(group.axes.get(line.axis)) for group in (before, after))
            if first != second:
                yield (
                    f"With recovery={text(format_value(recovery))}, {text(_twin(line))} goes to "
                    f"{text(line.axis)}={text(second)} instead of {text(first)} within 1 point of dense."
                )


def _twin(line: Line) -> str:
    """The line's label without recovery: equal for lines that differ in nothing else."""
    rest = {name: value for name, value in line.rest.items() if name != "recovery"}
    return f"{line.method} {describe_axes(rest)}".strip()


def _closer(comparison: Comparison) -> Iterator[str]:
    """What to add to the command so that values between the choice and the next one are tried, where the knee is."""
    (choice,) = choices(comparison.points, tolerances=(0.01,))
    for line in lines_of(comparison.points, MOST_LINES):
        if choice.group in line.groups and (values := _between(line, choice.group)):
            override = f"methods.{line.method}.grid.{line.axis}=[{','.join(f'{value:.4g}' for value in values)}]"
            yield f"To look closer at the knee, give the same command with <code>'{text(override)}'</code>."
            return


def _between(line: Line, group: Group) -> list[float]:
    """Three values of the line's axis between the group's and the next one that makes a smaller network."""
    reached = group.mean("compression_ratio") or 0
    smaller = [other for other in line.groups if (other.mean("compression_ratio") or 0) > reached]
    values = [other.axes.get(line.axis) for other in (group, *smaller)] if line.axis else []
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    if len(numbers) < 2 or len(numbers) < len(values):
        return []
    here, *others = numbers
    there = min(others, key=lambda value: abs(value - here))
    between = [here + (there - here) * part for part in (0.25, 0.5, 0.75)]
    if all(isinstance(value, int) for value in values):
        between = [value for value in dict.fromkeys(map(float, map(round, between))) if value not in (here, there)]
    return between


def _size(count: float | None) -> str:
    if count is None:
        return "an unknown size"
    return f"{count / 1e6:,.2f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
