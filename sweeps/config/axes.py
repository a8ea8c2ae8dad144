"""From the `methods` section of the configuration to what varies in each method: axes, ranges, shortcuts."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prune_core.axes import AXES, NONE, Score, all_entries
from prune_core.entries import REQUIRED, Entry
from prune_core.errors import UserError
from prune_core.method_keys import SWITCHES, UNNAMED, entries_of, owners_of
from prune_core.registry import closest
from sweeps.config.per_layer import PER_LAYER

SHORTCUTS = {"thresholds": "threshold", "sparsities": "sparsity", "n_clusters": "n_clusters", "recovery": "recovery"}
"""Top-level keys, and the axis that each sets for every chosen method that has it."""
_RANGE_KEYS = ("low", "high", "log", "integer", "per_layer")


@dataclass(frozen=True)
class Axes:
    """One method and what varies in it.

    Attributes:
        method: its name.
        fixed: parameters that do not vary, `options` among them.
        grid: {axis: values}, each value once.
        ranges: {axis: {"low", "high", "log", "integer"} or {"choices": [...]}} of the same axes, for a search; with
            "per_layer" where each layer gets a value of its own (see `sweeps.config.per_layer`).
        usual: {axis: value} of axes that do not name a trial while they stay at this value.
    """

    method: str
    fixed: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]]
    ranges: Mapping[str, Mapping[str, Any]]
    usual: Mapping[str, Any] = field(default_factory=lambda: _usual(()))

    def named(self) -> dict[str, tuple[Any, ...]]:
        """The axes that name a trial of the grid."""
        return {axis: values for axis, values in self.grid.items() if self._is_named(axis, values)}

    def named_ranges(self) -> dict[str, Mapping[str, Any]]:
        """The ranges of the axes that name a trial of a search."""
        return {axis: of for axis, of in self.ranges.items() if "low" in of or self._is_named(axis, of["choices"])}

    def rest(self, named: Iterable[str]) -> dict[str, Any]:
        """The parameters beside the axes `named`: the fixed ones, and the first value of each other axis."""
        return {**self.fixed, **{axis: values[0] for axis, values in self.grid.items() if axis not in set(named)}}

    def _is_named(self, axis: str, values: Sequence[Any]) -> bool:
        return not (axis in self.usual and all(value == self.usual[axis] for value in values))


def read_methods(
    sections: Mapping[str, Mapping[str, Any]], shortcuts: Mapping[str, Any], asked: frozenset[str]
) -> dict[str, Axes]:
    """Axes of each chosen method.

    Args:
        sections: {method: its section of the configuration}.
        shortcuts: {key of SHORTCUTS: value, list of values, or None}.
        asked: configuration keys that the command line set: values asked for there replace a range, and a parameter
            asked for there names the trial.

    Raises:
        UserError: an unknown key or axis, an empty axis, a bad range, a shortcut that no method has an axis for.
    """
    shared = {SHORTCUTS[key]: value for key, value in shortcuts.items() if value is not None and SHORTCUTS[key] in AXES}
    methods = {name: _read(name, section, asked, shared) for name, section in sections.items()}
    for key, value in shortcuts.items():
        if value is not None:
            methods = _take_shortcut(key, value, methods, asked)
    return methods


def _read(name: str, section: Mapping[str, Any], asked: frozenset[str], shared: Mapping[str, Any]) -> Axes:
    """One method; `shared` are the axes that shortcuts set for all methods."""
    where = f"methods.{name}"
    given_grid = _mapping(f"{where}.grid", section.get("grid"))
    chosen = _chosen(where, section, given_grid, shared, asked)
    own = {parameter for entry in chosen for parameter in entry.parameters}
    _check_asked_options(where, chosen, asked)
    keys = {*AXES, *SWITCHES, *own, *(parameter for entry in _switchable() for parameter in entry.parameters)}
    options = _mapping(f"{where}.options", section.get("options"))
    fixed = {}
    for key, value in section.items():
        if key in keys:
            fixed[key] = value
        elif key not in ("grid", "ranges", "options") and not _is_left_over(where, str(key), asked):
            _refuse(f"{where}.{key}", str(key), "a key of a method", {*keys, "grid", "ranges", "options"})
    grid = {}
    for axis, values in given_grid.items():
        if axis in keys or axis in options:
            grid[str(axis)] = _values(f"{where}.grid.{axis}", str(axis), values)
        elif not _is_left_over(f"{where}.grid", str(axis), asked):
            _refuse(f"{where}.grid.{axis}", str(axis), "an axis", {*keys, *options})
    places = {f"{where}.{key}": (key, value) for key, value in fixed.items()}
    places |= {f"{where}.options.{key}": (str(key), value) for key, value in options.items()}
    for place, (key, value) in places.items():
        if key in grid and (place in asked) == (f"{where}.grid.{key}" in asked):
            raise UserError(f"{place} is given twice, fixed and under grid: leave one out")
        if place in asked:
            grid[key] = _values(place, key, [value])
    fixed = {key: value for key, value in fixed.items() if key not in grid and UNNAMED.get(key, object()) != value}
    fixed |= {"options": {key: value for key, value in options.items() if key not in grid}}
    return Axes(name, fixed, grid, _ranges(where, section.get("ranges"), grid, asked), _usual(chosen))


def _chosen(
    where: str,
    section: Mapping[str, Any],
    grid: Mapping[str, Any],
    shared: Mapping[str, Any],
    asked: frozenset[str],
) -> list[Entry]:
    """Every entry that a point of the method may consist of."""
    found: dict[tuple[str, str], Entry] = {}
    for axis in AXES:
        is_fixed = axis not in grid or f"{where}.{axis}" in asked
        values = [section.get(axis)] if is_fixed else _values(f"{where}.grid.{axis}", axis, grid[axis])
        for value in [*values, *(_values(axis, axis, shared[axis]) if axis in shared else ())]:
            alone = {} if value is None else {axis: value}
            try:
                found |= {(kind, entry.name): entry for kind, entry in entries_of(alone) if kind == axis}
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
    return list(found.values())


def _check_asked_options(where: str, chosen: Sequence[Entry], asked: frozenset[str]) -> None:
    """Refuse an option that the command line sets for scores of which some do not have it."""
    scores = [entry for entry in chosen if isinstance(entry, Score)]
    for name in {name for score in scores for name in score.parameters}:
        if f"{where}.{name}" in asked or f"{where}.grid.{name}" in asked:
            for score in scores:
                if name not in score.parameters:
                    raise UserError(f"{where}: {name!r} is not an option of score={score.name}: leave one of them out")


def _switchable() -> list[Entry]:
    """The transforms, which any method may have."""
    return [AXES["transforms"].get(name) for name in AXES["transforms"]]


def _is_left_over(where: str, key: str, asked: frozenset[str]) -> bool:
    """Whether a file sets this key for entries that the command line has replaced with others."""
    method = where.removesuffix(".grid").removesuffix(".ranges")
    replaced = any(f"{place}.{axis}" in asked for axis in AXES for place in (method, f"{method}.grid"))
    return replaced and f"{where}.{key}" not in asked and bool(owners_of(key))


def _refuse(place: str, key: str, what: str, known: Iterable[str]) -> None:
    if owners := owners_of(key):
        raise UserError(
            f"{place} has no effect with what is chosen: it belongs to {' and '.join(owners)}, choose that or remove it"
        )
    everywhere = {name for _, entry in all_entries() for name in entry.parameters}
    raise UserError(f"{place} is not {what}: {closest(key, {*known, *everywhere})}")


def _usual(chosen: Sequence[Entry]) -> dict[str, Any]:
    declared = {name: of.default for entry in (*chosen, *_switchable()) for name, of in entry.parameters.items()}
    return {"recovery": NONE, **{name: value for name, value in declared.items() if value is not REQUIRED}}


def _ranges(
    where: str, section: Any, grid: Mapping[str, tuple[Any, ...]], asked: frozenset[str]
) -> dict[str, Mapping[str, Any]]:
    declared = _mapping(f"{where}.ranges", section)
    for axis in declared:
        if axis not in grid and not _is_left_over(f"{where}.ranges", str(axis), asked):
            raise UserError(f"{where}.ranges.{axis} is not an axis of the grid: {closest(str(axis), grid)}")
    ranges: dict[str, Mapping[str, Any]] = {}
    for axis, values in grid.items():
        by_value = axis not in declared or f"{where}.grid.{axis}" in asked or f"{where}.{axis}" in asked
        ranges[axis] = {"choices": list(values)} if by_value else _range(f"{where}.ranges.{axis}", axis, declared[axis])
    return ranges


def _range(where: str, axis: str, section: Any) -> dict[str, Any]:
    bounds = _mapping(where, section)
    if "choices" in bounds and len(bounds) == 1:
        return {"choices": list(_values(f"{where}.choices", axis, bounds["choices"]))}
    for key in bounds:
        if key not in _RANGE_KEYS:
            raise UserError(f"{where}.{key} is not a key of a range: {closest(str(key), (*_RANGE_KEYS, 'choices'))}")
    log, integer, per_layer = (bounds.get(key, False) for key in ("log", "integer", "per_layer"))
    for key, value in (("log", log), ("integer", integer), ("per_layer", per_layer)):
        if not isinstance(value, bool):
            raise UserError(f"{where}.{key}={value!r} must be true or false")
    if per_layer and axis not in PER_LAYER:
        raise UserError(f"{where}.per_layer has no effect: only {' and '.join(PER_LAYER)} can differ by layer")
    for key in ("low", "high"):
        value = bounds.get(key)
        if (
            isinstance(value, bool)
            or not isinstance(value, int if integer else (int, float))
            or not math.isfinite(value)
        ):
            raise UserError(f"{where}.{key}={value!r} must be a {'whole ' if integer else ''}number")
    low, high = bounds["low"], bounds["high"]
    if not low < high:
        raise UserError(f"{where}.low={low} must be below {where}.high={high}")
    if log and low <= 0:
        raise UserError(f"{where}.low={low} must be above 0 where log is true")
    limits = {"low": low, "high": high, "log": log, "integer": integer}
    return {**limits, "per_layer": True} if per_layer else limits


def _take_shortcut(key: str, value: Any, methods: Mapping[str, Axes], asked: frozenset[str]) -> dict[str, Axes]:
    axis = SHORTCUTS[key]
    having = [name for name, axes in methods.items() if axis in axes.grid]
    if not having:
        known = [k for k, a in SHORTCUTS.items() if any(a in axes.grid for axes in methods.values())]
        raise UserError(
            f"{key} sets the axis {axis}, which no chosen method has: chosen is {', '.join(methods)}, "
            f"which can take {', '.join(known) or 'no shortcut'}"
        )
    own = {name: {f"methods.{name}.grid.{axis}", f"methods.{name}.{axis}"} & asked for name in having}
    for place in sorted(set().union(*own.values())):
        if key in asked:
            raise UserError(f"{key} and {place} set the same axis: give one of them")
    values = _values(key, axis, value)
    taken = {
        name: replace(
            methods[name],
            grid={**methods[name].grid, axis: values},
            ranges={**methods[name].ranges, axis: {"choices": list(values)}},
        )
        for name in having
        if not own[name]  # a preset's shortcut yields to what was asked for
    }
    return {**methods, **taken}


def _values(where: str, axis: str, given: Any) -> tuple[Any, ...]:
    """The values of an axis, each once; a single value counts as a list of one."""
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    if not values:
        raise UserError(f"{where} is empty: give at least one value")
    if axis in AXES:
        values = [NONE if value is None else value for value in values]
    elif any(parameter == axis and of.default is None for e in _switchable() for parameter, of in e.parameters.items()):
        values = [None if value == NONE else value for value in values]
    unique: dict[str, Any] = {}
    for value in values:
        unique.setdefault(identity(value), value)
    return tuple(unique.values())


def identity(value: Any) -> str:
    """A text that is the same for equal values."""
    return json.dumps(canonical(value), sort_keys=True, default=str)


def canonical(value: Any) -> Any:
    """`value` such that equal numbers look equal: 1.0 is 1. Tuples are lists, keys are text."""
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _mapping(where: str, section: Any) -> Mapping[str, Any]:
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise UserError(f"{where}={section!r} must be a mapping")
    return section
