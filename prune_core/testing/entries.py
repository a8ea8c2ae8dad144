"""What every entry of every axis keeps to: the part that the suites of the axes have in common."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from prune_core.axes import AXES
from prune_core.entries import REQUIRED, Entry, Parameter
from prune_core.errors import UserError
from prune_core.method_keys import SWITCHES
from prune_core.testing.fresh import plans_lightly

_TAKEN = {*AXES, *SWITCHES, "options", "grid", "ranges", "model", "method", "data", "training", "seed", "prune_output"}
_LOOK_UP = "from prune_core.axes import AXES; AXES[arguments[0]].get(arguments[1])"


class EntryConformance:
    """The base of the suites of single entries; subclass one of those instead.

    Attributes:
        axis: key of `prune_core.axes.AXES`.
        kind: the class of its entries.
        parameters: of the entry, those to be tried; at least those without a default.
    """

    axis: str
    kind: type[Entry]
    parameters: Mapping[str, Any] = {}

    def test_it_is_found_by_its_name_wherever_a_sweep_is_planned(self) -> None:
        plans_lightly(_LOOK_UP, self.axis, self._name())
        entry = self._entry()
        assert isinstance(entry, self.kind), f"{self._name()!r} leads to {type(entry)}, which is not a {self.kind}"
        assert entry.name == self._name(), f"registered as {self._name()!r}, it calls itself {entry.name!r}"
        assert callable(entry.load()), f"{entry.function!r} is not a function"

    def test_its_parameters_can_be_given(self) -> None:
        declared = self._entry().parameters
        for name, parameter in declared.items():
            assert self.axis == "score" or name not in _TAKEN, f"{name!r} means something else already: rename it"
            assert name == name.rstrip("_"), f"{name!r} ends with an underscore: rename it"
            if parameter.default is not REQUIRED and parameter.default is not None:
                assert parameter.checked(name, parameter.default) == parameter.default, f"the default of {name}"
            assert name in self._given() or parameter.default is not REQUIRED, f"give {name} to the suite"
        for name, value in self._given().items():
            assert name in declared, f"the suite is given {name}, which is not a parameter of {self._name()}"
            declared[name].checked(name, value)

    def test_bad_values_of_its_parameters_are_refused_in_one_sentence(self) -> None:
        for name, parameter in self._entry().parameters.items():
            for value in _bad_values(parameter):
                with pytest.raises(UserError, match=rf"^{name}=.*") as caught:
                    parameter.checked(name, value)
                assert "\n" not in str(caught.value)

    def _name(self) -> str:
        return str(getattr(self, self.axis.removesuffix("s") if self.axis == "transforms" else self.axis))

    def _entry(self) -> Any:
        return AXES[self.axis].get(self._name())

    def _given(self) -> Mapping[str, Any]:
        """The parameters to be tried."""
        return self.parameters


def all_settings(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an entry, those not given at their defaults."""
    return {name: given.get(name, parameter.default) for name, parameter in entry.parameters.items()}


def raised(value: Any, bound: float) -> Any:
    """A larger amount: half-way to the bound, or 1.5 times where there is none."""
    if isinstance(value, (tuple, list)):
        return tuple(raised(one, bound) for one in value)
    return 1.5 * value if math.isinf(bound) else (bound + value) / 2


def _bad_values(parameter: Parameter) -> Iterator[Any]:
    """Values of another type than a parameter's, and beyond its range."""
    yield {"no": "value"}
    yield from (["no value"], math.nan) if parameter.kind != "choice" else ()
    if parameter.kind in ("number", "whole"):
        yield True
        for end, is_open, beyond in ((parameter.low, parameter.open_low, -1), (parameter.high, parameter.open_high, 1)):
            if math.isfinite(end):
                yield end + beyond
                yield from (end,) if is_open else ()
    if parameter.kind == "whole":
        yield parameter.low + 0.5 if math.isfinite(parameter.low) else 0.5
