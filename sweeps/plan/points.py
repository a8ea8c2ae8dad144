"""The points of a method that are tried: those of its grid, drawn ones, or those of one layer at a time."""

import itertools
import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from prune_core.axes import AXES
from prune_core.errors import UserError
from prune_core.method_keys import with_own_parameters
from prune_core.spec import MethodSpec
from prune_core.versions import versions_of_method
from sweeps.config import PER_LAYER, Axes, Layers, axis_of, gathered, identity
from sweeps.specs import format_value

MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class Point:
    """One setting of a method: the axes that name it, and the checked whole."""

    axes: Mapping[str, Any]
    spec: MethodSpec

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The whole as configuration keys; made once for the trials of all dense networks."""
        return self.spec.parameters()

    @cached_property
    def versions(self) -> dict[str, int]:
        """What has changed since its first version of the computations that the method does."""
        return versions_of_method(self.spec)


def grid_points(axes: Axes) -> list[Point]:
    """The product of all axes, in the order of the configuration; an axis that the entries of a point do not have is
    left out there. Raises UserError for an impossible point.
    """
    count = math.prod(len(values) for values in axes.grid.values())
    if count > MOST_POINTS:
        raise UserError(f"methods.{axes.method}.grid has {count} points: give fewer values, {MOST_POINTS} are the most")
    named = axes.named()
    rest = axes.rest(named)
    points = (
        point_of(axes.method, rest, dict(zip(named, values, strict=True)))
        for values in itertools.product(*named.values())
    )
    return _different(points) if any(axis in AXES for axis in named) else list(points)


def points_of_one_layer(axes: Axes, layers: Layers) -> list[Point]:
    """The points of the grid for each layer in turn: only this layer is pruned, the others stay whole.

    Raises:
        UserError: the method has no axis `sparsity`, or its values are not numbers, one of them above 0.
    """
    where = f"methods.{axes.method}.grid.sparsity"
    shares = axes.grid.get("sparsity")
    if shares is None:
        raise UserError(f"search=sensitivity needs {where}: choose a method that has it, such as weight or unit")
    if not all(isinstance(share, (int, float)) for share in shares) or not any(shares):
        raise UserError(f"{where}={format_value(shares)} must be numbers above 0: search=sensitivity adds the layers")
    points = grid_points(replace(axes, grid={**axes.grid, "sparsity": tuple(share for share in shares if share)}))
    return [_alone(point, layer, layers["pruned"]) for layer in layers["pruned"] for point in points]


def drawn_points(axes: Axes, n_samples: int, seed: int) -> list[Point]:
    """`n_samples` different points of the ranges, or fewer if the ranges have no more; a pure function."""
    generator = random.Random(f"{seed} {axes.method}")
    ranges = axes.named_ranges()
    rest = axes.rest(ranges)
    found: dict[str, dict[str, Any]] = {}
    for _ in range(20 * n_samples):
        values = {axis: _draw(bounds, generator.random()) for axis, bounds in ranges.items()}
        found.setdefault(identity(values), values)
        if len(found) == n_samples:
            break
    return [point_of(axes.method, rest, values) for values in found.values()]


def with_layer_ranges(axes: Axes, layers: Layers) -> Axes:
    """The same axes, but each range marked `per_layer` becomes one range for every layer; its axis leaves the grid."""
    ranges: dict[str, Mapping[str, Any]] = {}
    grid = dict(axes.grid)
    for axis, bounds in axes.ranges.items():
        if bounds.get("per_layer"):
            own = {key: value for key, value in bounds.items() if key != "per_layer"}
            ranges |= {axis_of(axis, layer): own for layer in layers[PER_LAYER[axis]]}
            del grid[axis]
        else:
            ranges[axis] = bounds
    return replace(axes, grid=grid, ranges=ranges)


def points_of_equal_layers(axes: Axes, layers: Layers) -> list[dict[str, Any]]:
    """Where a search layer by layer starts: the points of the grid that are in range, with one value for all layers.

    Returns:
        {axis: value} with an axis for every layer; empty for a method without a range that is marked `per_layer`.
    """
    own = {axis: bounds for axis, bounds in axes.ranges.items() if bounds.get("per_layer")}
    if not own:
        return []
    within = {axis: _within(axes.grid[axis], bounds) for axis, bounds in axes.ranges.items() if "low" in bounds}
    points = grid_points(replace(axes, grid={**axes.grid, **within})) if all(within.values()) else []
    return [_for_all_layers(point.axes, own, layers) for point in points]


def end_points(axes: Axes) -> list[Point]:
    """A point at each end and each choice of every range. Raises UserError if one is impossible for the method."""
    ranges = axes.named_ranges()
    rest = axes.rest(ranges)
    ends = {axis: bounds.get("choices") or [bounds["low"], bounds["high"]] for axis, bounds in ranges.items()}
    first = {axis: values[0] for axis, values in ends.items()}
    return [point_of(axes.method, rest, {**first, axis: value}) for axis, values in ends.items() for value in values]


def point_of(method: str, rest: Mapping[str, Any], values: Mapping[str, Any]) -> Point:
    """The point of `method` with the axes at `values`. Raises UserError, naming the method, if it is impossible."""
    try:
        own = with_own_parameters({**rest, **gathered(values)})
        spec = MethodSpec.from_parameters(own)
    except UserError as error:
        raise UserError(f"methods.{method}: {error}") from None
    return Point({axis: value for axis, value in values.items() if axis.partition(".")[0] in own}, spec)


def _different(points: Iterable[Point]) -> list[Point]:
    """The points in their order, each once: points that differ only in an axis that they do not have are equal."""
    return list({identity(point.axes): point for point in reversed([*points])}.values())[::-1]


def _within(values: Sequence[Any], bounds: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(v for v in values if isinstance(v, (int, float)) and bounds["low"] <= v <= bounds["high"])


def _for_all_layers(values: Mapping[str, Any], own: Collection[str], layers: Layers) -> dict[str, Any]:
    """Values of axes with those in `own` given to every layer."""
    names = {
        axis: [axis_of(axis, layer) for layer in layers[PER_LAYER[axis]]] if axis in own else [axis] for axis in values
    }
    return {name: value for axis, value in values.items() for name in names[axis]}


def _alone(point: Point, layer: str, layers: Sequence[str]) -> Point:
    share = point.axes["sparsity"]
    named = {axis_of(axis, layer) if axis == "sparsity" else axis: value for axis, value in point.axes.items()}
    return Point(named, point.spec.replaced(sparsity=tuple(share if name == layer else 0 for name in layers)))


def in_range(value: Any, bounds: Mapping[str, Any]) -> Any:
    """A drawn value. A float is rounded to four digits for easy reading, and stays within its range."""
    if "choices" in bounds or isinstance(value, int):
        return value
    return min(max(float(f"{value:.4g}"), bounds["low"]), bounds["high"])


def _draw(bounds: Mapping[str, Any], u: float) -> Any:
    """The value of a range at `u`, uniform in [0, 1)."""
    if "choices" in bounds:
        choices = bounds["choices"]
        return choices[int(u * len(choices))]
    low, high = bounds["low"], bounds["high"]
    margin = 0.5 if bounds["integer"] else 0.0
    start, end = low - margin, high + margin
    value = start * (end / start) ** u if bounds["log"] else start + (end - start) * u
    return min(max(round(value), low), high) if bounds["integer"] else in_range(value, bounds)
