"""What a pruning method is: a choice of entries, one or several an axis, and their checked parameters.

Pure Python, no TensorFlow: a sweep is planned and refused here, before anything heavy is imported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
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
from prune_core.entries import REQUIRED, Entry, Parameter, is_list
from prune_core.errors import UserError
from prune_core.registry import Registry, closest
from prune_core.training.config import TrainingConfig

SWITCHES = ("include_biases", "hold_zeros")
"""What every method has beside its entries' parameters."""
UNNAMED = {"hold_zeros": True}
"""Switches that content keys name only where they have another value, so that keys from before them stay valid."""


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
        score: str = "magnitude",
        granularity: str = "weight",
        selection: str = "fraction",
        schedule: str = "one_shot",
        recovery: Any = (),
        transforms: Any = (),
        include_biases: bool = False,
        hold_zeros: bool = True,
        options: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> None:
        given = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        self._set("score", _name("score", score))
        self._set("granularity", _name("granularity", granularity))
        self._set("selection", _name("selection", selection))
        self._set("schedule", _name("schedule", schedule))
        chain = _names("recovery", recovery)
        self._set("recovery", chain if len(chain) > 1 else chain[0] if chain else NONE)
        self._set("transforms", _with_switched_on(_names("transforms", transforms), given))
        for name, value in (("include_biases", include_biases), ("hold_zeros", hold_zeros)):
            if not isinstance(value, bool):
                raise UserError(f"{name}={value!r} must be true or false")
            self._set(name, value)
        if options is not None and not isinstance(options, Mapping):
            raise UserError(f"options={options!r} must be a mapping: the parameters of the score by their names")
        values, own = _checked(self, given, dict(options or {}))
        self._set("values", values)
        self._set("options", own)
        _check_sense(self)

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
        return _names("recovery", self.recovery)

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
        if self.trains and self.hold_zeros != UNNAMED["hold_zeros"]:
            values["hold_zeros"] = self.hold_zeros
        implied = _with_switched_on((), self.values)
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


def entries_of(parameters: Mapping[str, Any]) -> list[tuple[str, Entry]]:
    """(axis, entry) of everything that the configuration keys of a method choose, the usual choices included.

    Raises:
        UserError: an unknown entry.
    """
    usual = {"score": "magnitude", "granularity": "weight", "selection": "fraction", "schedule": "one_shot"}
    found: list[tuple[str, Entry]] = []
    for axis, name in usual.items():
        found.append((axis, AXES[axis].get(_name(axis, parameters.get(axis, name)))))
    found += [("recovery", RECOVERIES.get(name)) for name in _names("recovery", parameters.get("recovery"))]
    named = _names("transforms", parameters.get("transforms"))
    return [*found, *(("transforms", TRANSFORMS.get(name)) for name in _with_switched_on(named, parameters))]


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


def _passes(entry: Entry, training: TrainingConfig) -> float:
    return entry.passes + (training.section(entry.name).epochs if entry.trains else 0)


def _name(axis: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UserError(f"{axis}={value!r} must be the name of a {AXES[axis].kind}")
    AXES[axis].get(value)
    return value


def _names(axis: str, value: Any) -> tuple[str, ...]:
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
    return tuple(_name(axis, name) for name in names if name != NONE)


def _with_switched_on(named: tuple[str, ...], given: Mapping[str, Any]) -> tuple[str, ...]:
    """The transforms that are named, and those whose switch has a value."""
    others = [name for name in TRANSFORMS if name not in named and given.get(TRANSFORMS.get(name).switch) is not None]
    return (*named, *others)


def _is_worth_a_word(parameter: Parameter, value: Any) -> bool:
    return parameter.is_keyed or parameter.default is REQUIRED or value != parameter.default


def _checked(
    spec: MethodSpec, given: Mapping[str, Any], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The given parameters, checked: (those of the entries, those of the score).

    A name that both the score and another entry have means the other entry; `options` reaches the score's.
    """
    values: dict[str, Any] = {}
    score = spec.score_entry
    for name, value in given.items():
        owners = [entry.parameters[name] for entry in spec.entries if name in entry.parameters]
        if owners:
            for parameter in owners:
                values[name] = parameter.checked(name, value)
        elif score is not None and name in score.parameters and name not in options:
            options[name] = value
        else:
            _refuse(spec, name)
    if score is None:
        for name in options:
            _refuse(spec, name)
        return values, {}
    score.check(spec.granularity)
    return values, score.checked_options(options)


def _refuse(spec: MethodSpec, name: str) -> None:
    """Say why a parameter cannot be given."""
    missing = [wanted for wanted, _ in _missing(spec, {}, {})]
    owners = owners_of(name)
    if owners:
        raise UserError(f"{name} has no effect with {_choice(spec)}: it belongs to {' and '.join(owners)}, remove it")
    if near := get_close_matches(name, missing):
        raise UserError(f"{name!r} is not a parameter: did you mean {near[0]!r}?")
    known = {*SWITCHES, *AXES, *(known for entry in spec.entries for known in entry.parameters)}
    known |= set(spec.score_entry.parameters if spec.score_entry else ())
    raise UserError(f"{name!r} is not a parameter of {_choice(spec)}: {closest(name, known)}")


def _choice(spec: MethodSpec) -> str:
    """The entries of a method as a person chooses them."""
    parts = [f"schedule={spec.schedule}", f"selection={spec.selection}"]
    parts += [f"score={spec.score}"] if spec.is_scored and spec.score_entry and spec.score_entry.parameters else []
    parts += [f"recovery={'+'.join(spec.recoveries)}"] if spec.recoveries else []
    return " ".join(parts)


def _missing(spec: MethodSpec, values: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Parameters that were not given and have no default, each with the entry that needs it."""
    score = [(spec.score_entry, options)] if spec.score_entry else []
    for entry, given in [*((entry, values) for entry in spec.entries), *score]:
        switch = entry.switch if isinstance(entry, Transform) else None
        for name, parameter in entry.parameters.items():
            if (parameter.default is REQUIRED or name == switch) and name not in given:
                yield name, entry


def _check_sense(spec: MethodSpec) -> None:
    """Refuse what is missing, and a method that does nothing."""
    for name, _ in _missing(spec, spec.values, spec.options):
        raise UserError(f"{name} is missing: {_choice(spec)} needs it")
    if spec.include_biases and spec.is_scored and spec.granularity_entry.scored_as == "unit":
        raise UserError(
            f"include_biases has no effect with granularity={spec.granularity}, where the bias goes with its unit: "
            "remove it"
        )
    if not (spec.prunes or spec.recoveries or spec.transforms):
        switches = " or ".join(TRANSFORMS.get(name).switch for name in TRANSFORMS)
        raise UserError(
            f"{switches} is missing: with selection={spec.selection} and no recovery there is nothing else to do"
        )
