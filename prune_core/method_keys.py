"""From the configuration keys of a method to the entries that they choose. Plan-time: no TensorFlow."""

from collections.abc import Mapping
from typing import Any

from prune_core.axes import AXES, NONE, RECOVERIES, TRANSFORMS, all_entries
from prune_core.entries import Entry, is_list
from prune_core.errors import UserError
from prune_core.registry import closest

SWITCHES = ("include_biases", "hold_zeros")
"""What every method has beside its entries' parameters."""
UNNAMED = {"hold_zeros": True}
"""Switches that content keys name only where they have another value, so that keys from before them stay valid."""


USUAL = {"score": "magnitude", "granularity": "weight", "selection": "fraction", "schedule": "one_shot"}
"""What a method chooses where it does not say; it has no recovery then, and no transforms."""


def entries_of(parameters: Mapping[str, Any]) -> list[tuple[str, Entry]]:
    """(axis, entry) of everything that the configuration keys of a method choose, the usual choices included.

    Raises:
        UserError: an unknown entry.
    """
    found: list[tuple[str, Entry]] = []
    for axis, name in USUAL.items():
        found.append((axis, AXES[axis].get(name_of(axis, parameters.get(axis, name)))))
    found += [("recovery", RECOVERIES.get(name)) for name in names_of("recovery", parameters.get("recovery"))]
    named = names_of("transforms", parameters.get("transforms"))
    return [*found, *(("transforms", TRANSFORMS.get(name)) for name in with_switched_on(named, parameters))]


def with_own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration keys of a method without those parameters that belong only to entries which it does not choose:
    where an axis varies, the parameters of its entries do not all have an effect at every point.
    """
    own = {name for _, entry in entries_of(parameters) for name in entry.parameters}
    return {
        name: value
        for name, value in parameters.items()
        if value is None or name in own or name in AXES or name in SWITCHES or name == "options" or not owners_of(name)
    }


def owners_of(parameter: str) -> list[str]:
    """What has a parameter of this name, as a person chooses it: ["selection=absolute", ...]."""
    return [f"{axis}={entry.name}" for axis, entry in all_entries() if parameter in entry.parameters]


def name_of(axis: str, value: Any) -> str:
    """The name of an entry that there is. Raises UserError if `value` is not one."""
    if not isinstance(value, str):
        raise UserError(f"{axis}={value!r} must be the name of a {AXES[axis].kind}")
    AXES[axis].get(value)
    return value


def names_of(axis: str, value: Any) -> tuple[str, ...]:
    """The names of an axis that takes several, one after the other; "none" is not one of them."""
    if value is None or value == NONE:
        return ()
    names = list(value) if is_list(value) else [value]
    for name in names:
        if name == NONE and len(names) > 1:
            raise UserError(f"{axis}={value!r} names {NONE!r} beside others: leave it out")
        if isinstance(name, str) and name != NONE and name not in AXES[axis]:
            raise UserError(f"unknown {AXES[axis].kind} {name!r}: {closest(name, [*AXES[axis], NONE])}")
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{axis}={value!r} names {twice[0]!r} twice: name it once")
    return tuple(name_of(axis, name) for name in names if name != NONE)


def with_switched_on(named: tuple[str, ...], given: Mapping[str, Any]) -> tuple[str, ...]:
    """The transforms that are named, and those whose switch has a value."""
    others = [name for name in TRANSFORMS if name not in named and given.get(TRANSFORMS.get(name).switch) is not None]
    return (*named, *others)
