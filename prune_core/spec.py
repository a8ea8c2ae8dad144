"""What a pruning method is: a choice of entries, one or several an axis, and their checked parameters.

Pure Python, no TensorFlow: a sweep is planned and refused here, before anything heavy is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prune_core.axes import (
    AXES,
    GRANULARITIES,
    NONE,
    RECOVERIES,
    SCHEDULES,
    SCORES,
    SELECTIONS,
    TRANSFORMS,
    Granularity,
    Recovery,
    Schedule,
    Score,
    Selection,
    Transform,
    all_entries,
)
from prune_core.entries import REQUIRED, Entry, Parameter
from prune_core.errors import UserError
from prune_core.method_checks import check_sense, checked_parameters
from prune_core.method_keys import SWITCHES, UNNAMED, USUAL, name_of, names_of, with_switched_on
from prune_core.registry import Registry
from prune_core.training.config import TrainingConfig


@dataclass(frozen=True, init=False)
class MethodSpec:
    """A fully determined method: everything that `prune_core.prune` needs besides network, data and seed.

        MethodSpec(score="l2_norm", granularity="unit", sparsity=0.5)
        MethodSpec(selection="global", schedule="iterative", steps=10, recovery=["batchnorm", "finetune"], sparsity=0.9)

    Attributes:
        score, granularity, selection, schedule: names in the registries of these axes (`prune_core.axes`).
        recovery: name of the recovery, "none", or a tuple of names, one after the other (`recoveries` is always one).
        transforms: names of the transforms that follow.
        include_biases: prune and cluster biases as well as kernels (weight granularity).
        hold_zeros: keep what is zero in the given network's kernels at zero wherever the method trains, so that a
            network that was pruned before stays so. A kernel that is zero throughout is trained all the same: that is
            how layers often begin.
        values: {parameter: value} of the entries' parameters that were given, those of the score left out.
        options: the same of the score, which no other parameter can shadow.

    A parameter can be read as an attribute, too: `spec.sparsity`; None where it was not given.

    Raises:
        UserError: on construction, for an unknown entry, a value out of range, a missing or a pointless parameter.
    """

    score: str
    granularity: str
    selection: str
    schedule: str
    recovery: str | tuple[str, ...]
    transforms: tuple[str, ...]
    include_biases: bool
    hold_zeros: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        score: str = USUAL["score"],
        granularity: str = USUAL["granularity"],
        selection: str = USUAL["selection"],
        schedule: str = USUAL["schedule"],
        recovery: Any = (),
        transforms: Any = (),
        include_biases: bool = False,
        hold_zeros: bool = True,
        options: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> None:
        given = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        self._set("score", name_of("score", score))
        self._set("granularity", name_of("granularity", granularity))
        self._set("selection", name_of("selection", selection))
        self._set("schedule", name_of("schedule", schedule))
        chain = names_of("recovery", recovery)
        self._set("recovery", chain if len(chain) > 1 else chain[0] if chain else NONE)
        self._set("transforms", with_switched_on(names_of("transforms", transforms), given))
        for name, value in (("include_biases", include_biases), ("hold_zeros", hold_zeros)):
            if not isinstance(value, bool):
                raise UserError(f"{name}={value!r} must be true or false")
            self._set(name, value)
        if options is not None and not isinstance(options, Mapping):
            raise UserError(f"options={options!r} must be a mapping: the parameters of the score by their names")
        values, own = checked_parameters(self, given, dict(options or {}))
        self._set("values", values)
        self._set("options", own)
        check_sense(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "values" not in self.__dict__:
            raise AttributeError(name)
        if any(name in entry.parameters for entry in self.entries):
            return self.values.get(name)
        if any(name == entry_name for _, entry in all_entries() for entry_name in entry.parameters):
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> "MethodSpec":
        """Build a spec from configuration keys, those of `parameters()`."""
        return cls(**{str(name): value for name, value in parameters.items()})

    def replaced(self, **changes: Any) -> "MethodSpec":
        """The same method with some of its keys changed; a parameter set to None is left out."""
        return MethodSpec.from_parameters({**self.parameters(), **changes})

    def without_transforms(self) -> "MethodSpec":
        """The same method up to its transforms. Raises UserError if nothing is left of it."""
        own = {name: None for entry in self.transform_entries for name in entry.parameters}
        return self.replaced(transforms=None, **own)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries that take part, the score left out, in the order in which they act."""
        selection = [self.selection_entry] if self.schedule_entry.selects else []
        return (
            self.granularity_entry,
            *selection,
            self.schedule_entry,
            *self.recovery_entries,
            *self.transform_entries,
        )

    @property
    def score_entry(self) -> Score | None:
        """The score; None where nothing is scored."""
        return SCORES.get(self.score) if self.is_scored else None

    @property
    def granularity_entry(self) -> Granularity:
        """The entry of `granularity`."""
        return GRANULARITIES.get(self.granularity)

    @property
    def selection_entry(self) -> Selection:
        """The entry of `selection`."""
        return SELECTIONS.get(self.selection)

    @property
    def schedule_entry(self) -> Schedule:
        """The entry of `schedule`."""
        return SCHEDULES.get(self.schedule)

    @property
    def recovery_entries(self) -> tuple[Recovery, ...]:
        """The entries of `recovery`, in their order."""
        return tuple(RECOVERIES.get(name) for name in self.recoveries)

    @property
    def recoveries(self) -> tuple[str, ...]:
        """Names of the recoveries, one after the other; empty: none."""
        return names_of("recovery", self.recovery)

    def recovery_entry(self, name: str) -> Recovery:
        """The entry of one recovery of this method."""
        return next(entry for entry in self.recovery_entries if entry.name == name)

    @property
    def transform_entries(self) -> tuple[Transform, ...]:
        """The entries of `transforms`, in their order."""
        return tuple(TRANSFORMS.get(name) for name in self.transforms)

    @property
    def is_scored(self) -> bool:
        """Whether anything is scored and selected."""
        return self.schedule_entry.selects and self.selection_entry.needs_scores

    @property
    def prunes(self) -> bool:
        """Whether weights are removed at all, or only changed."""
        return self.is_scored or not self.schedule_entry.selects

    @property
    def trains(self) -> bool:
        """Whether the method trains the network, while it prunes or afterwards."""
        return any(entry.trains for entry in self.entries)

    @property
    def changes_weights(self) -> bool:
        """Whether the method gives other values to weights that stay, which a weight that was zero must not get."""
        return self.trains or bool(self.recoveries)

    @property
    def amount(self) -> Any:
        """How much is to go: the value of the parameter that says so; None where none does."""
        name = self.schedule_entry.amount or (self.selection_entry.amount if self.is_scored else None)
        return None if name is None else self.values.get(name)

    def settings_of(self, entry: Entry) -> dict[str, Any]:
        """The parameters of an entry of this method, those not given at their defaults."""
        given = self.options if entry is self.score_entry else self.values
        return {name: given.get(name, parameter.default) for name, parameter in entry.parameters.items()}

    def epochs(self, training: TrainingConfig) -> float:
        """How many passes over the training data the method makes, training and all else; for estimates of time."""
        repeats = self.schedule_entry.repeats(self.settings_of(self.schedule_entry))
        each = [entry for entry in (self.score_entry, *self.recovery_entries) if entry is not None]
        once = [self.schedule_entry, *self.transform_entries]
        return repeats * sum(_passes(entry, training) for entry in each) + sum(_passes(e, training) for e in once)

    def parameters(self) -> dict[str, Any]:
        """Configuration keys and values that differ from the defaults or name an axis; JSON-ready, sorted.

        Content keys are made of them, so what stands here for a method stays as it is.
        """
        values: dict[str, Any] = {
            "score": self.score,
            "granularity": self.granularity,
            "selection": self.selection,
            "schedule": self.schedule,
            "recovery": self.recovery,
            "include_biases": self.include_biases,
        }
        if self.changes_weights and self.hold_zeros != UNNAMED["hold_zeros"]:
            values["hold_zeros"] = self.hold_zeros
        implied = with_switched_on((), self.values)
        if self.transforms != implied:
            values["transforms"] = list(self.transforms)
        declared = {name: parameter for entry in self.entries for name, parameter in entry.parameters.items()}
        values |= {name: value for name, value in self.values.items() if _is_worth_a_word(declared[name], value)}
        shadowed = {name for name in self.options if name in declared or name in AXES or name in SWITCHES}
        values |= {name: value for name, value in self.options.items() if name not in shadowed}
        if shadowed:
            values["options"] = {name: self.options[name] for name in sorted(shadowed)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in sorted(values.items())}


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
    """The spec of a named method with any of its axes and parameters set.

        method_spec("importance", threshold=0.5)
        method_spec("weight", selection="global", sparsity=0.9)

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


def _passes(entry: Entry, training: TrainingConfig) -> float:
    return entry.passes + (training.section(entry.name).epochs if entry.trains else 0)


def _is_worth_a_word(parameter: Parameter, value: Any) -> bool:
    return parameter.is_keyed or parameter.default is REQUIRED or value != parameter.default
