"""Find the classes of units that can go without changing what a network computes.

A class can go if every layer that consumes it can do without it: either its kernel gives the class no weight (in what
is kept of it), or the class is constant there and the constant is 0 or can be folded into the layer's bias. Which
classes are constant follows from the zeros of the kernels; what the constants are is measured by running the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from prune_core.graph.classes import ChannelClasses
from prune_core.graph.exact import ExactRun, run_as_it_is, run_exactly
from prune_core.graph.rule import Link
from prune_core.network.walk import GraphStep

# A constant is measured at many places: the largest difference among them, relative to max(1, |constant|).
_SPREAD = 1e-6
# Largest float64 value of a constant that is 0 in the network's own type.
_NOTHING = 1e-6


@dataclass
class Mixer:
    """A layer with units and all that is known of it.

    Attributes:
        path: its name.
        operation: the Keras layer.
        inputs, units: classes of its inputs and its units.
        link: how it mixes them.
        low, high: least and greatest value of every input channel in float64, shape (inputs,); infinite if not seen.
        zero: bool (inputs,), whether the channel was 0 wherever it was seen in the network's own type.
        spread: how far low and high of a constant can be apart by rounding.
    """

    path: str
    operation: Any
    inputs: np.ndarray
    units: np.ndarray
    link: Link
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)
    zero: np.ndarray = field(init=False)
    spread: float = _SPREAD

    def __post_init__(self) -> None:
        self.low = np.full(len(self.inputs), np.inf)
        self.high = np.full(len(self.inputs), -np.inf)
        self.zero = np.ones(len(self.inputs), dtype=bool)

    def see_zeros(self, values: np.ndarray) -> None:
        """Record inputs (..., inputs) in the network's own type."""
        self.zero &= (values == 0).reshape(-1, values.shape[-1]).all(axis=0)

    def see_extremes(self, values: np.ndarray) -> None:
        """Record inputs (..., inputs) in float64."""
        values = values.reshape(-1, values.shape[-1])
        self.low = np.minimum(self.low, values.min(axis=0))
        self.high = np.maximum(self.high, values.max(axis=0))

    def nothing(self) -> np.ndarray:
        """bool (inputs,): whether an input is 0 in the network's own type, and next to it in float64."""
        nothing: np.ndarray = self.zero & (np.maximum(-self.low, self.high) <= _NOTHING)
        return nothing

    def foldable(self, constant: np.ndarray) -> np.ndarray:
        """bool (inputs,): whether an input is constant and can be taken out exactly; `constant` is by class."""
        absorbable = self.nothing()
        if self.link.gain is not None:
            even = np.isfinite(self.low) & np.isfinite(self.high)
            even[even] = (self.high - self.low)[even] <= self.spread * np.maximum(1, np.abs(self.high[even]))
            absorbable |= even
        foldable: np.ndarray = constant[self.inputs] & absorbable
        return foldable

    def used(self, removed: np.ndarray) -> np.ndarray:
        """bool (inputs,): whether any unit that stays gives the input a weight; `removed` is by class."""
        return np.asarray(self.link.coupled[:, ~removed[self.units]].any(axis=1))

    def fold(self, removed: np.ndarray) -> tuple[np.ndarray, int]:
        """What the removed inputs' constants add to the bias of each unit, and how many of them are not 0."""
        rows = np.flatnonzero(removed[self.inputs] & self.used(removed))
        values = np.where(self.nothing()[rows], 0, (self.low[rows] + self.high[rows]) / 2)
        if self.link.gain is None or not values.any():
            return np.zeros(len(self.units)), 0
        return values @ self.link.gain[rows].astype(np.float64), int(np.count_nonzero(values))


@dataclass(frozen=True)
class Removal:
    """What can go, and what had to stay.

    Attributes:
        removed: bool (classes,).
        biases: {id of a layer: what is added to its bias, shape (units,)}, where it is not zero.
        folded: {layer: how many constant inputs were folded into its bias}.
        kept: {layer: why units of it that do nothing had to stay}.
    """

    removed: np.ndarray
    biases: dict[int, np.ndarray]
    folded: dict[str, int]
    kept: dict[str, str]


def find_mixers(classes: ChannelClasses) -> list[Mixer]:
    """The layers with units that can be followed, in topological order, with their present weights."""
    return [
        Mixer(trace.path, trace.operation, trace.inputs, trace.traced.outputs[0], trace.traced.link(trace.operation))
        for trace in classes.traces.values()
        if trace.traced.link is not None
    ]


def constant_classes(classes: ChannelClasses, mixers: Sequence[Mixer]) -> np.ndarray:
    """bool (classes,): whether a class's value cannot depend on the network's input."""
    varying = classes.sources.copy()
    count = -1
    while count != (count := int(varying.sum())):
        for mixer in mixers:
            varying[mixer.units[mixer.link.coupled[varying[mixer.inputs]].any(axis=0)]] = True
    return ~varying


def observe(graph: Any, inputs: Sequence[Any], mixers: Sequence[Mixer], constant: np.ndarray) -> ExactRun:
    """Run the network in float64; note there and in its own types what reaches each mixer with a constant input."""
    watched = {id(mixer.operation): mixer for mixer in mixers if constant[mixer.inputs].any()}

    def see_zeros(step: GraphStep) -> None:
        if id(step.operation) in watched:
            watched[id(step.operation)].see_zeros(keras.ops.convert_to_numpy(step.inputs[0]))

    def see_extremes(step: GraphStep) -> None:
        if id(step.operation) in watched:
            watched[id(step.operation)].see_extremes(keras.ops.convert_to_numpy(step.inputs[0]))

    if watched:
        run_as_it_is(graph, inputs, see_zeros)
    run = run_exactly(graph, inputs, see_extremes)
    for mixer in watched.values():
        mixer.spread = max(mixer.spread, run.rounding)
    return run


def find_removal(classes: ChannelClasses, mixers: Sequence[Mixer], constant: np.ndarray) -> Removal:
    """Everything that can go, once `observe` has run. At least one unit of every layer stays."""
    candidates = ~classes.pinned
    kept: dict[str, str] = {}
    while True:
        removed = _absorbed(candidates, mixers, constant)
        emptied = {name: ids for name, ids in classes.units.items() if removed[ids].all()}
        if not emptied:
            break
        for name, ids in emptied.items():
            candidates[ids[0]] = False
            kept[name] = "none of its units does anything, and one has to stay"
    folds = {id(mixer.operation): (mixer, *mixer.fold(removed)) for mixer in mixers}
    return Removal(
        removed=removed,
        biases={key: bias for key, (_, bias, count) in folds.items() if count},
        folded={mixer.path: count for mixer, _, count in folds.values() if count},
        kept=_unfoldable(classes, mixers, constant, removed) | kept,
    )


def _absorbed(candidates: np.ndarray, mixers: Sequence[Mixer], constant: np.ndarray) -> np.ndarray:
    """The candidates that every consumer can do without; a consumer that is removed itself needs nothing any more."""
    foldable = [mixer.foldable(constant) for mixer in mixers]
    removed = np.zeros_like(candidates)
    while True:
        absorbed = candidates.copy()
        for mixer, folds in zip(mixers, foldable, strict=True):
            absorbed[mixer.inputs[mixer.used(removed) & ~folds]] = False
        if (absorbed == removed).all():
            return removed
        removed = absorbed


def _unfoldable(
    classes: ChannelClasses, mixers: Sequence[Mixer], constant: np.ndarray, removed: np.ndarray
) -> dict[str, str]:
    """{layer: reason} for constants that a consumer cannot take over."""
    blockers: dict[int, str] = {}
    for mixer in mixers:
        stuck = mixer.used(removed) & constant[mixer.inputs] & ~mixer.foldable(constant)
        for number in mixer.inputs[stuck].tolist():
            blockers.setdefault(number, mixer.path)
    reasons = {}
    for name, ids in classes.units.items():
        stuck_units = [number for number in ids.tolist() if number in blockers and not classes.pinned[number]]
        if stuck_units:
            reasons[name] = (
                f"{len(stuck_units)} of its units give a constant that is not 0 and cannot be folded into the bias of "
                f"'{blockers[stuck_units[0]]}', where it meets zero padding"
            )
    return reasons
