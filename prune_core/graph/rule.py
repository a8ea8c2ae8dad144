"""What a shrinking rule is, and the table of rules by layer class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from prune_core.graph.ids import ChannelIds
from prune_core.network.walk import GraphStep

MADE_INTO_MASK = "a mask is made of it"


@dataclass(frozen=True)
class Axes:
    """How a weight of a layer is laid out.

    Attributes:
        ids: for each axis of the weight the channel ids along it, or None for an axis that is never cut.
        silent: the axis whose entries are masked to silence a removed unit (a kernel's units, the entries of a bias,
            of a gamma, of a beta), or None for a weight that may keep its values.
    """

    ids: tuple[np.ndarray | None, ...]
    silent: int | None = None


@dataclass(frozen=True)
class Link:
    """How a layer with units mixes its inputs: unit = f(sum of inputs times kernel + bias), f element by element.

    Attributes:
        coupled: bool (inputs, units), whether the kernel joins the two by any nonzero number.
        gain: (inputs, units), what a spatially constant input of 1 adds to the pre-activation of each unit; None where
            that differs from place to place (zero padding), so that no constant can be folded into the bias. A layer
            with a gain keeps its bias in `layer.bias` and has a config key `use_bias`.
    """

    coupled: np.ndarray
    gain: np.ndarray | None


@dataclass(frozen=True)
class Traced:
    """What a rule says about one call of a layer.

    Attributes:
        outputs: channel ids of each output's last axis.
        weights: {attribute of the layer: its axes}; weights not named are copied whole.
        config: {config key: new value}; every id array inside stands for the
            number of its channels that are kept, e.g. {"units": ids} or {"target_shape": (4, 4, ids)}.
        link: for a layer with units and one input, `layer -> Link` of its current weights. Without it each output
            channel must have the id of input channels and depend on the input channels of that id only.
    """

    outputs: Sequence[np.ndarray]
    weights: Mapping[str, Axes] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    link: Callable[[Any], Link] | None = None


class Call:
    """One call of a layer, as a rule sees it.

    Attributes:
        layer: the layer (or bare operation).
        path: its name, with the names of the models it is nested in.
        inputs: channel ids of the last axis of each input; masks are not among them.
        input_shapes, output_shapes: shapes with the batch axis; None for a size that is not fixed.
    """

    def __init__(
        self,
        step: GraphStep,
        ids: ChannelIds,
        own: dict[int, list[np.ndarray]],
        pins: list[tuple[np.ndarray, str]],
        sources: list[np.ndarray],
    ) -> None:
        self.layer: Any = step.operation
        self.path = step.path
        self.inputs: list[np.ndarray] = step.inputs
        self.input_shapes = [tuple(tensor.shape) for tensor in step.tensors]
        self.output_shapes = [tuple(tensor.shape) for tensor in step.outputs]
        self._step = step
        self._ids = ids
        self._own = own
        self._pins = pins
        self._sources = sources

    def new_units(self, count: int) -> np.ndarray:
        """Ids of the layer's own `count` units; the same ones in every call of a layer that is used twice."""
        return self._own.setdefault(id(self.layer), [self._ids.new(count)])[0]

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Say that channels `first[i]` and `second[i]` can only be removed together."""
        self._ids.unite(first, second)

    def pin(self, ids: np.ndarray, reason: str) -> None:
        """Forbid the removal of these channels; `reason` is one sentence for people."""
        self._pins.append((ids, reason))

    def opaque(self, reason: str) -> Traced:
        """The answer for a call that cannot be shrunk: everything that goes in and comes out is pinned."""
        if self._step.is_for_masks:  # Keras adds operations for masks: their names would tell a reader nothing
            reason = MADE_INTO_MASK
        for ids in self.inputs:
            if ids is not None:
                self.pin(ids, reason)
        return self.unrelated(reason)

    def unrelated(self, reason: str) -> Traced:
        """The answer for a call whose outputs depend on no value of its inputs: only what comes out is pinned."""
        sizes = [shape[-1] if has_channels(shape) else 0 for shape in self.output_shapes]
        fresh = self._own.get(id(self.layer), [])
        if [len(ids) for ids in fresh] != sizes:
            fresh = self._own[id(self.layer)] = [self._ids.new(size) for size in sizes]
        for ids in fresh:
            self.pin(ids, reason)
            self._sources.append(ids)
        return Traced(fresh)

    def constants(self) -> list[Any]:
        """The call's arguments that are not tensors of the graph, flat."""
        flat = keras.tree.flatten((self._step.node.arguments.args, self._step.node.arguments.kwargs))
        return [value for value in flat if not isinstance(value, keras.KerasTensor)]

    def run_on(self, values: np.ndarray) -> np.ndarray:
        """The layer's single output when its single input has `values`, shape with batch axis, integer."""
        args, kwargs = self._step.node.arguments.fill_in({id(self._step.tensors[0]): values.astype(np.int32)})
        return np.asarray(keras.ops.convert_to_numpy(self.layer(*args, **kwargs)))


def has_channels(shape: Sequence[int | None]) -> bool:
    """Whether a tensor of this shape (batch axis included) has a last axis of known size."""
    return len(shape) >= 2 and shape[-1] is not None


Rule = Callable[[Call], Traced]

_RULES: dict[type, Rule] = {}


def register_rule(layer_class: type) -> Callable[[Rule], Rule]:
    """Teach shrinking a layer class: a decorator for the function that answers for each of its calls.

    Rules hold for exactly this class, not for subclasses, whose `call` may do anything. A later registration replaces
    an earlier one. A layer without a rule is left alone: everything around it is pinned and reported.

    Example, a Dense layer with a learnt scale for each unit::

        @register_rule(ScaledDense)
        def scaled_dense(call):
            units = call.new_units(call.layer.units)
            return Traced(
                outputs=[units],
                weights={
                    "kernel": Axes((call.inputs[0], units), silent=1),
                    "scale": Axes((units,)),
                    "bias": Axes((units,), silent=0),
                },
                config={"units": units},
                link=lambda layer: Link(coupled=np.asarray(layer.kernel) != 0, gain=None),
            )

    and a layer that treats every channel by itself: `register_rule(MyNoise)(lambda call: Traced([call.inputs[0]]))`.
    """

    def add(rule: Rule) -> Rule:
        _RULES[layer_class] = rule
        return rule

    return add


def built_in_rule(layer_class: type) -> Callable[[Rule], Rule]:
    """`register_rule` for our own rules. A user's rule stays, whether it was registered before or after."""

    def add(rule: Rule) -> Rule:
        _RULES.setdefault(layer_class, rule)
        return rule

    return add


def find_rule(operation: object) -> Rule | None:
    """The rule for this very class, or None."""
    return _RULES.get(type(operation))
