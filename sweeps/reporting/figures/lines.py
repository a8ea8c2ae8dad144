"""From the groups of a sweep to what is drawn as one line: a method along one of its axes, all else equal."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prune_core.axes import NONE, transform_parameters
from sweeps.reporting.results import Group
from sweeps.specs import describe_axes

MOST_LINES = 4
"""A method with more lines than this is drawn as points with the line of its best ones."""
AFTERWARDS = ("recovery", *sorted(transform_parameters()))
"""Axes of what follows pruning: the recovery, and the parameters of transforms."""


@dataclass(frozen=True)
class Line:
    """Groups of one method.

    Attributes:
        method: its name.
        rest: what tells this line from the method's others, e.g. {"recovery": "finetune"}.
        axis: the axis that varies along it; None where nothing or several axes vary.
        groups: in the order of that axis where it is of numbers.
        is_cloud: several axes vary freely: points, not a line.
        number: of the line among its method's, from 0.
    """

    method: str
    rest: Mapping[str, Any]
    axis: str | None
    groups: tuple[Group, ...]
    is_cloud: bool
    number: int

    @property
    def label(self) -> str:
        """ "importance recovery=finetune"; of points with several axes "threshold, best of 90"."""
        if self.is_cloud:
            return f"{self.method}, best of {len(self.groups)}"
        return f"{self.method} {describe_axes(self.rest)}".strip()


def is_as_pruned(axes: Mapping[str, Any]) -> bool:
    """Whether nothing follows pruning at a point of these axes."""
    return all(axes.get(name) in (None, NONE) for name in AFTERWARDS)


def lines_of(points: Sequence[Group], most: int = MOST_LINES) -> list[Line]:
    """The lines of all methods, in order of appearance; a method with more than `most` of them is a cloud."""
    return [line for members in _by_method(points) for line in _lines(members, most)]


def best_lines(points: Sequence[Group]) -> list[Line]:
    """One line a method; where it has several, a cloud of all its points."""
    return lines_of(points, most=1)


def by_what_follows(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Lines grouped by what follows pruning; their labels then leave it out: {"recovery=finetune": [...]}."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        after = {name: value for name, value in line.rest.items() if name in AFTERWARDS}
        panel = found.setdefault(describe_axes(after) or "pruned, nothing else", [])
        rest = {name: value for name, value in line.rest.items() if name not in AFTERWARDS}
        panel.append(replace(line, rest=rest, number=sum(line.method == other.method for other in panel)))
    return found


def pareto(
    points: Sequence[Group], cost: Callable[[Group], float | None], gain: Callable[[Group], float | None]
) -> list[Group]:
    """The groups that no other beats: lower cost at no less gain, or more gain at no more cost; cheapest first."""
    values = [(cost(point), gain(point), index) for index, point in enumerate(points)]
    known = [(c, -g, index) for c, g, index in values if c is not None and g is not None]
    front: list[Group] = []
    best = float("inf")
    for _, loss, index in sorted(known):
        if loss < best:
            best = loss
            front.append(points[index])
    return front


def _by_method(points: Sequence[Group]) -> list[list[Group]]:
    methods = dict.fromkeys(group.method for group in points)
    return [[group for group in points if group.method == method] for method in methods]


def _lines(points: list[Group], most: int) -> list[Line]:
    names = dict.fromkeys(name for group in points for name in group.axes)
    varying = [name for name in names if len({_text(group.axes.get(name)) for group in points}) > 1]
    axis = next((name for name in varying if _is_axis(name, points)), None)
    others = [name for name in varying if name != axis]
    parts: dict[str, list[Group]] = {}
    for group in points:
        parts.setdefault(_text([group.axes.get(name) for name in others]), []).append(group)
    if len(parts) > most or (len(parts) > 1 and len(points) < 2 * len(parts) and axis is not None):
        return [Line(points[0].method, {}, None, tuple(points), True, 0)]
    return [
        Line(
            points[0].method,
            {name: members[0].axes.get(name) for name in others},
            axis,
            tuple(sorted(members, key=lambda group: _position(group, axis))),
            False,
            number,
        )
        for number, members in enumerate(parts.values())
    ]


def _is_axis(name: str, points: Sequence[Group]) -> bool:
    """Whether a line can run along it: numbers (null means that there is nothing), or one number for each layer."""
    values = [group.axes.get(name) for group in points]
    return all(_is_number(value) or isinstance(value, (list, tuple)) for value in values if value is not None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _position(group: Group, axis: str | None) -> float:
    value = group.axes.get(axis) if axis else None
    if isinstance(value, (list, tuple)):
        return float(sum(value))
    return float(value) if isinstance(value, (int, float)) else float("-inf")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
