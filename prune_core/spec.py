"""What a pruning method is: a point in score x granularity x selection x schedule x recovery.

Pure Python, no TensorFlow: a sweep is planned and refused here, before anything heavy is imported.
"""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from prune_core.errors import UserError
from prune_core.registry import Registry, closest

GRANULARITIES = ("weight", "unit")
SELECTIONS = ("fraction", "absolute", "mean_relative", "none")
SCHEDULES = ("one_shot", "rvsm")
RECOVERIES = ("none", "finetune")

# Which parameter each selection cannot do without.
SELECTION_PARAMETER = {"fraction": "sparsity", "absolute": "threshold", "mean_relative": "threshold"}

UNSAID = {"hold_zeros": True}
"""Parameters of training that are named only where they have another value, so that keys from before them hold."""


@dataclass(frozen=True)
class MethodSpec:
    """A fully determined method: everything that `prune_core.prune` needs besides network, data and seed.

    Attributes:
        score: name in the score registry; how much each weight or unit matters. Unused when nothing is selected.
        granularity: "weight", or "unit" (a Dense column, a convolution filter) which is then removed physically.
        selection: "fraction" of each layer (`sparsity`), "absolute" (`threshold` on the score itself),
            "mean_relative" (`threshold` times the mean score of the layer), or "none".
        schedule: "one_shot" on the trained network, or "rvsm" (while training, see `prune_core.schedules.rvsm`).
        recovery: "none" or "finetune" (masks held).
        sparsity: fraction of a layer's weights or units to remove, in [0, 1); one for all layers or one for each layer
            that may be pruned (the output layer is one of them only if it is to be pruned). Layers that lose their
            units together lose the largest of their fractions.
        threshold: lower bound of the scores that stay, >= 0.
        n_clusters: codebook size of the k-means weight sharing that follows; one for all layers or one a layer; None:
            none.
        include_biases: prune and cluster biases as well as kernels (weight granularity).
        hold_zeros: keep what is zero in the given network's kernels at zero wherever the method trains (recovery
            "finetune", schedule "rvsm"), so that a network that was pruned before stays so. A kernel that is zero
            throughout is trained all the same: that is how layers often begin.
        lambda_: weight of the l0 penalty (rvsm), >= 0.
        beta: strength of the coupling between w and u (rvsm), > 0.
        options: further keyword arguments of the score function.

    Raises:
        UserError: on construction, for a value out of range, a missing or a pointless parameter.
    """

    score: str = "magnitude"
    granularity: str = "weight"
    selection: str = "fraction"
    schedule: str = "one_shot"
    recovery: str = "none"
    sparsity: float | tuple[float, ...] | None = None
    threshold: float | None = None
    n_clusters: int | tuple[int, ...] | None = None
    include_biases: bool = False
    hold_zeros: bool = True
    lambda_: float | None = None
    beta: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.score, str):
            raise UserError(f"score={self.score!r} must be the name of a score")
        _one_of("granularity", self.granularity, GRANULARITIES)
        _one_of("selection", self.selection, SELECTIONS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("recovery", self.recovery, RECOVERIES)
        object.__setattr__(self, "sparsity", _sparsities(self.sparsity))
        for name in ("threshold", "lambda", "beta"):
            object.__setattr__(self, _attribute(name), _plain(getattr(self, _attribute(name))))
        _in_range("threshold", self.threshold, 0, math.inf, open_end=True)
        _in_range("lambda", self.lambda_, 0, math.inf, open_end=True)
        _in_range("beta", self.beta, 0, math.inf, open_end=True, open_start=True)
        for name in ("include_biases", "hold_zeros"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"{name}={getattr(self, name)!r} must be true or false")
        object.__setattr__(self, "n_clusters", _cluster_counts(self.n_clusters))
        self._check_completeness()

    def _check_completeness(self) -> None:
        needed = {name for name in [SELECTION_PARAMETER.get(self.selection)] if name}
        if self.schedule == "rvsm":
            needed = {"lambda", "beta"}
        for name in ("sparsity", "threshold", "lambda", "beta"):
            given = getattr(self, _attribute(name)) is not None
            if name in needed and not given:
                self._refuse_misspelt(name)
                raise UserError(f"{name} is missing: schedule={self.schedule} selection={self.selection} needs it")
            if given and name not in needed:
                raise UserError(
                    f"{name} has no effect with schedule={self.schedule} selection={self.selection}: remove it"
                )
        if self.selection == "none":
            self._check_without_selection()
        if self.granularity == "unit" and self.include_biases:
            raise UserError(
                "include_biases has no effect with granularity=unit, where the bias goes with its unit: remove it"
            )

    def _refuse_misspelt(self, missing: str) -> None:
        for name in self.options:
            if get_close_matches(name, [missing]):
                raise UserError(f"{name!r} is not a parameter: did you mean {missing!r}?")

    def _check_without_selection(self) -> None:
        for name in self.options:  # no score is there to refuse them
            known = [f.name.rstrip("_") for f in fields(self)]
            raise UserError(f"{name!r} is not a parameter of selection=none: {closest(name, known)}")
        if self.schedule == "one_shot" and self.recovery == "none" and self.n_clusters is None:
            raise UserError("n_clusters is missing: with selection=none and no recovery there is nothing else to do")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> "MethodSpec":
        """Build a spec from configuration keys; `lambda` is `lambda_`, keys unknown here become `options`."""
        known = {f.name for f in fields(cls)} - {"options"}
        own: dict[str, Any] = {}
        options: dict[str, Any] = dict(parameters.get("options") or {})
        for name, value in parameters.items():
            if name == "options":
                continue
            target = own if _attribute(name) in known else options
            target[_attribute(name) if target is own else name] = value
        return cls(**own, options=options)

    @property
    def trains(self) -> bool:
        """Whether the method trains the network, while it prunes or afterwards."""
        return self.schedule == "rvsm" or self.recovery == "finetune"

    def parameters(self) -> dict[str, Any]:
        """Configuration keys and values that differ from the defaults or name an axis; JSON-ready, sorted."""
        values: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "options":
                values.update(value)
            elif f.name in UNSAID and (value == UNSAID[f.name] or not self.trains):
                continue
            elif value is not None:
                values[f.name.rstrip("_")] = list(value) if isinstance(value, tuple) else value
        return dict(sorted(values.items()))


METHODS: Registry[Mapping[str, Any]] = Registry("method", "prune_core.methods")
"""Named methods of the Python API; the service's `conf/method/*.yaml` say the same (a test holds them together)."""

METHODS.register("importance", {"score": "importance", "granularity": "unit", "selection": "mean_relative"})
METHODS.register("weight", {"score": "magnitude", "granularity": "weight", "selection": "fraction"})
METHODS.register("unit", {"score": "l2_norm", "granularity": "unit", "selection": "fraction"})
METHODS.register("threshold", {"score": "magnitude", "granularity": "weight", "selection": "absolute"})
METHODS.register("cluster", {"selection": "none"})
METHODS.register("rvsm", {"selection": "none", "schedule": "rvsm"})
METHODS.register("random", {"score": "random", "granularity": "weight", "selection": "fraction"})


def method_spec(method: "str | MethodSpec", **parameters: Any) -> MethodSpec:
    """The spec of a named method with its parameters set, e.g. `method_spec("importance", threshold=0.5)`.

    Raises:
        UserError: unknown method, or parameters that it cannot take.
    """
    if not isinstance(method, (str, MethodSpec)):
        raise UserError(f"method={method!r} must be a name or a MethodSpec: {', '.join(METHODS)}")
    if isinstance(method, MethodSpec):
        if parameters:
            raise UserError(f"{', '.join(parameters)} cannot be given beside a MethodSpec: put them into it")
        return method
    return MethodSpec.from_parameters({**METHODS.get(method), **parameters})


def _attribute(name: str) -> str:
    return "lambda_" if name == "lambda" else name


def _one_of(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"{name}={value!r} is not one of its values: {closest(str(value), choices)}")


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's, which JSON knows; anything else as it is."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _in_range(
    name: str, value: Any, low: float, high: float, *, open_start: bool = False, open_end: bool = False
) -> None:
    if value is None:
        return
    inside = _is_number(value) and (low < value if open_start else low <= value)
    if not (inside and (value < high if open_end else value <= high)):
        start, end = "(" if open_start else "[", ")" if open_end else "]"
        raise UserError(f"{name}={value!r} must be a number in {start}{low:g}, {high:g}{end}")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _sparsities(value: Any) -> float | tuple[float, ...] | None:
    if not _is_list(value):
        _in_range("sparsity", _plain(value), 0, 1, open_end=True)
        return _plain(value)  # type: ignore[no-any-return]
    fractions = tuple(_plain(fraction) for fraction in value)
    if not fractions or not all(_is_number(fraction) and 0 <= fraction < 1 for fraction in fractions):
        raise UserError(f"sparsity={value!r} must be a number in [0, 1), or a list of them with one a layer to prune")
    return fractions


def _cluster_counts(value: Any) -> int | tuple[int, ...] | None:
    if value is None:
        return None
    counts = [_plain(n) for n in (value if _is_list(value) else [value])]
    if not counts or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in counts):
        raise UserError(f"n_clusters={value!r} must be a whole number >= 1, or a list of them with one a layer")
    return tuple(counts) if _is_list(value) else counts[0]
