"""The axes of a method, each an open registry: score, granularity, selection, schedule, recovery, transform.

    method = score x granularity x selection x schedule x recovery x transforms

Our own entries stand in the package of their axis (`prune_core.scores`, ...), which is imported when an entry is first
looked up. Other packages add theirs by an entry point of that name. Plan-time: no TensorFlow.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from prune_core.entries import Entry
from prune_core.errors import UserError
from prune_core.registry import Registry, closest

_Kind = TypeVar("_Kind", bound=Entry)
NONE = "none"
"""The recovery of a method that has none."""


@dataclass(frozen=True)
class Score(Entry):
    """How much each weight or unit matters: high scores stay, low scores are removed.

    `function(ctx)` gets a `prune_core.scores.ScoringContext`. At granularity "weight" it returns {weight path: array of
    the weight's shape} of the kernels in scope, and of their biases if `ctx.include_biases`. At granularity "unit" it
    returns {PrunableLayer.name: array (units,)}; kernels without units of their own have no entry.

    Attributes:
        granularities: what it can score, "weight" or "unit" or both.
    """

    granularities: tuple[str, ...] = ()

    def check(self, granularity: str, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Raise UserError if it cannot score what the granularity needs scored, or does not take the options."""
        scored = GRANULARITIES.get(granularity).scored_as
        if scored not in self.granularities:
            able = [name for name in GRANULARITIES if GRANULARITIES.get(name).scored_as in self.granularities]
            ways = " or ".join(f"granularity={name}" for name in able)
            raise UserError(f"score={self.name} cannot score granularity={granularity}: use {ways}")
        self.checked_options(options)

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Its parameters as `Parameter.checked` gives them. Raises UserError for one that it does not have."""
        for name in options:
            if name not in self.parameters:
                known = closest(name, self.parameters) if self.parameters else "it takes none, remove it"
                raise UserError(f"{name!r} is not an option of score={self.name}: {known}")
        return {name: self.parameters[name].checked(name, value) for name, value in options.items()}

    def __call__(self, ctx: Any) -> dict[str, Any]:
        """The scores of `ctx.layers`.

        Raises:
            UserError: a granularity that it cannot score, options that it does not have, or missing data.
        """
        self.check(ctx.granularity, ctx.options)
        if self.needs_data and (ctx.x is None or len(ctx.x) == 0):
            raise UserError(f"score={self.name} needs training data and there is none: give x of at least one sample")
        if self.needs_labels and ctx.y is None:
            raise UserError(f"score={self.name} needs labels and there are none: give data=(x, y)")
        return self.load()(ctx)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Granularity(Entry):
    """What is removed together.

    `function(ctx, scores)` gets a `ScoringContext` and the scores, and returns a `prune_core.granularities.Grouping`.

    Attributes:
        scored_as: what has to be scored for it, "weight" or "unit".
        removes: whether what is removed goes physically: the network is shrunk.
    """

    _: KW_ONLY
    scored_as: str
    removes: bool = False


@dataclass(frozen=True)
class Selection(Entry):
    """Which of all layers' scores are too low.

    `function(ctx)` gets a `prune_core.selections.SelectionContext` and returns for each of `ctx.groups` a bool array of
    the shape of its scores, True = kept.

    Attributes:
        amount: the parameter that says how much goes, which a schedule of several steps scales; None: there is none.
        needs_scores: whether anything is scored for it.
        count: (amount, number of scores of a group) -> how many of them go exactly; None: that does not follow from
            these two alone.
    """

    _: KW_ONLY
    amount: str | None = None
    needs_scores: bool = True
    count: Callable[[float, int], int] | None = None


def _once(parameters: Mapping[str, Any]) -> int:
    return 1


@dataclass(frozen=True)
class Schedule(Entry):
    """When it is pruned, and in how many steps.

    `function(pruning)` gets a `prune_core.pruning.Pruning` and is a generator: it selects, masks and recovers by the
    methods of `pruning`, and yields a `prune_core.pruning.Progress` after each step.

    Attributes:
        selects: whether it takes its masks from the selection.
        amount: its own parameter that says how much goes, where it makes the masks itself.
        repeats: parameters -> how often it scores, selects and recovers.
    """

    _: KW_ONLY
    selects: bool = True
    amount: str | None = None
    repeats: Callable[[Mapping[str, Any]], int] = _once


@dataclass(frozen=True)
class Recovery(Entry):
    """What repairs the network after a step of pruning; several may follow one another.

    `function(pruning)` gets a `prune_core.pruning.Pruning` and changes `pruning.model` in place; weights that
    `pruning.masks` remove stay zero. It may be a generator that yields `prune_core.pruning.Progress`.
    """


@dataclass(frozen=True)
class Transform(Entry):
    """What is done to the weights of the pruned and shrunk network, last of all.

    `function(transforming)` gets a `prune_core.transforms.Transforming` and changes or replaces its `model`.

    Attributes:
        switch: the parameter that asks for it: the transform is done where this has a value.
    """

    _: KW_ONLY
    switch: str


def _registry(kind: str, package: str, entry_type: type[_Kind]) -> Registry[_Kind]:
    return Registry(kind, f"prune_core.{package}", is_package=True, entry_type=entry_type)


SCORES = _registry("score", "scores", Score)
GRANULARITIES = _registry("granularity", "granularities", Granularity)
SELECTIONS = _registry("selection", "selections", Selection)
SCHEDULES = _registry("schedule", "schedules", Schedule)
RECOVERIES = _registry("recovery", "recoveries", Recovery)
TRANSFORMS = _registry("transform", "transforms", Transform)

AXES: Mapping[str, Registry[Any]] = {
    "score": SCORES,
    "granularity": GRANULARITIES,
    "selection": SELECTIONS,
    "schedule": SCHEDULES,
    "recovery": RECOVERIES,
    "transforms": TRANSFORMS,
}
"""{axis, as the configuration calls it: its registry}."""


def all_entries() -> list[tuple[str, Entry]]:
    """(axis, entry) of everything that is registered or installed."""
    return [(axis, registry.get(name)) for axis, registry in AXES.items() for name in registry]


def transform_parameters() -> frozenset[str]:
    """Names of the parameters of all transforms."""
    return frozenset(name for entry in map(TRANSFORMS.get, TRANSFORMS) for name in entry.parameters)


def described(entry: Entry) -> str:
    """An entry as one word for a list: its name, with its parameters in brackets."""
    return f"{entry.name}({', '.join(entry.parameters)})" if entry.parameters else entry.name


def trainers() -> list[str]:
    """Names of the schedules and recoveries that train: the parts that the section `training` may have."""
    return [name for registry in (SCHEDULES, RECOVERIES) for name in registry if registry.get(name).trains]
