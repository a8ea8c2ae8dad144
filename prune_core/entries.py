"""What every choice of a method's axis declares: its function, its parameters, what it needs.

Plan-time: no TensorFlow.
"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from importlib import import_module
from typing import Any

from prune_core.errors import UserError
from prune_core.registry import closest

REQUIRED: Any = object()
"""The default of a parameter that has none: it must be given."""

LAYERS = {"pruned": "layers to prune", "all": "layers"}
"""{what `Parameter.per_layer` can be: what these layers are called}."""

_KINDS = {"number": "a number", "whole": "a whole number", "flag": "true or false", "choice": ""}


@dataclass(frozen=True)
class Parameter:
    """One parameter of an entry: what its values can be.

    Attributes:
        kind: "number", "whole" (an integer), "flag" (a bool), or "choice" (one of `choices`).
        low, high: the range of numbers; both ends belong to it unless `open_low` or `open_high` says otherwise.
        choices: the values of a choice.
        default: what holds where it is not given; `REQUIRED`: it must be given; None: without it, nothing is done.
        per_layer: "pruned" or "all": a list with one value for each of these layers is taken as well; None: no lists.
        is_keyed: whether it stands in content keys where it is given at its default, too.
    """

    kind: str = "number"
    low: float = -math.inf
    high: float = math.inf
    _: KW_ONLY
    open_low: bool = False
    open_high: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = REQUIRED
    per_layer: str | None = None
    is_keyed: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind={self.kind!r} is not a kind of parameter: {closest(self.kind, _KINDS)}")
        if self.per_layer is not None and self.per_layer not in LAYERS:
            raise ValueError(f"per_layer={self.per_layer!r} must be None or one of {', '.join(LAYERS)}")

    def checked(self, name: str, value: Any) -> Any:
        """`value` as plain Python: numbers of NumPy's as Python's, lists as tuples.

        Raises:
            UserError: a value of the wrong type or out of range; the sentence names the parameter.
        """
        if self.per_layer is not None and is_list(value):
            values = tuple(plain(one) for one in value)
            if not values or not all(map(self._takes, values)):
                raise UserError(f"{name}={value!r} must be {self._wanted()}{self._or_a_list()}")
            return values
        single = plain(value)
        if self.kind == "choice" and single not in self.choices:
            raise UserError(f"{name}={value!r} is not one of its values: {closest(str(value), map(str, self.choices))}")
        if not self._takes(single):
            raise UserError(
                f"{name}={value!r} must be {self._wanted()}{self._or_a_list() if self.kind == 'whole' else ''}"
            )
        return single

    def _takes(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "flag":
            return isinstance(value, bool)
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "whole" else (int, float)):
            return False
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def _wanted(self) -> str:
        if self.kind in ("choice", "flag"):
            return _KINDS[self.kind] or f"one of {', '.join(map(str, self.choices))}"
        if self.kind == "whole" and math.isinf(self.high):
            return f"{_KINDS[self.kind]} >= {self.low:g}"
        start, end = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{_KINDS[self.kind]} in {start}{self.low:g}, {self.high:g}{end}"

    def _or_a_list(self) -> str:
        if self.per_layer is None:
            return ""
        return f", or a list of them with one a {LAYERS[self.per_layer].replace('layers', 'layer', 1)}"


@dataclass(frozen=True)
class Entry:
    """One choice of an axis.

    Attributes:
        name: what users call it.
        function: what it does, or where it is: "module:function", imported when it is first run.
        parameters: {name: what its values can be}.
        needs_data: whether it reads the training inputs.
        needs_labels: whether it reads their labels as well.
        trains: whether it trains the network; its part of the configuration is then `training.<name>`.
        passes: passes over the training data that it makes beside any training.
        version: raised when the function gives other results than before; results of earlier versions are made again.
    """

    name: str
    function: str | Callable[..., Any]
    _: KW_ONLY
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs_data: bool = False
    needs_labels: bool = False
    trains: bool = False
    passes: float = 0
    version: int = 1

    def load(self) -> Callable[..., Any]:
        """The function itself."""
        if not isinstance(self.function, str):
            return self.function
        module, _, name = self.function.partition(":")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's, which JSON knows; anything else as it is."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return bool(value) if type(value).__name__ == "bool" and hasattr(value, "item") else value


def is_list(value: object) -> bool:
    """Whether a value is a list of values."""
    return isinstance(value, Sequence) and not isinstance(value, str)
