"""Multiply-accumulates: what one inference of a network costs, independent of the machine."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.kernels import KERNEL_KINDS, Places
from prune_core.network.called_parts import called_parts
from prune_core.network.keras_internals import ConvLSTMCell
from prune_core.network.sample_shape import fits
from prune_core.network.shapes import Shape, carry_shapes
from prune_core.network.walk import graph_of
from prune_core.weights import kernel_attributes

_LOG = logging.getLogger(__name__)
_Call = tuple[keras.layers.Layer, Shape, Shape]

MacsRule = Callable[[Any, Shape, Shape], Shape]
"""(layer, shape of its input, of its output, both with the batch axis) -> sizes whose product counts the places of one
sample at which each element of the layer's kernels is used; an open size is None."""

_RULES: dict[type, MacsRule] = {}


def register_macs_rule(layer_class: type, rule: MacsRule) -> None:
    """Teach `count_macs` a layer and its subclasses; replaces an existing rule. Its kernels are those attributes of it
    that `prune_core.weights.kernel_attributes` finds.

    Example, a layer that multiplies each vector of its input with its kernel:
        >>> register_macs_rule(ScaledDense, lambda layer, given, made: made[1:-1])
    """
    _RULES[layer_class] = rule


class OpenSize(UserError):
    """How often a kernel is used depends on a size that the network leaves open."""


def count_macs(model: keras.Model, nonzero_only: bool = False, sample_shape: Sequence[int] | None = None) -> int:
    """Multiply-accumulates of the kernels for one input sample.

    A kernel element counts once for every place it is used at: Dense on vectors 1, convolutions the positions of their
    output, transposed convolutions those of their input. Positions at a padded border count in full, as dense kernels
    compute them. A layer or nested model that is called twice counts twice; what is inside TimeDistributed or a
    recurrent layer counts at every time step, the projections of attention at every place. Operations on each value by
    itself (biases, normalisation, activations, also PReLU's slopes), pooling, looking up embeddings and the products of
    attention, which have no weights, are not counted. Layers with matrices of other kinds (custom) are not counted
    either; a warning is logged.

    Args:
        model: a functional or built Sequential model.
        nonzero_only: count only kernel elements that are not zero: the cost on hardware that skips zeros.
        sample_shape: shape of one sample, for a model of one input that takes samples of several sizes.

    Raises:
        UserError: a subclassed or unbuilt model, or samples that it cannot take.
        OpenSize: the input's shape leaves the positions open and `sample_shape` is not given.
    """
    count = np.count_nonzero if nonzero_only else np.size
    total, elements = 0, {}
    for layer, positions in _kernel_layers(_calls(model, sample_shape)):
        for attribute in kernel_attributes(layer):
            kernel = getattr(layer, attribute)
            if id(kernel) not in elements:
                elements[id(kernel)] = int(count(keras.ops.convert_to_numpy(kernel)))
            total += elements[id(kernel)] * positions
    return total


def _kernel_layers(calls: Iterable[_Call], times: int = 1) -> Iterator[tuple[keras.layers.Layer, int]]:
    """(layer, number of places at which its kernels are used) of calls, those inside of layers among them."""
    for layer, input_shape, output_shape in calls:
        parts = called_parts(layer, input_shape, output_shape)
        if parts is None:
            positions = _positions(layer, input_shape, output_shape)
            if positions is not None:
                yield layer, times * positions
            continue
        for call in parts:
            if call.times is None:
                raise _open_size(layer, input_shape)
            graph = graph_of(call.part)
            inner = [(call.part, call.given, call.made)] if graph is None else _calls_in(graph, [call.given])
            yield from _kernel_layers(inner, times * call.times)


def _calls(model: keras.Model, sample_shape: Sequence[int] | None) -> list[_Call]:
    """(layer, input shape, output shape) of every call of a layer with weights, nested models' too."""
    graph = graph_of(model)
    if graph is None:
        raise UserError(
            f"model {model.name!r} has no graph: MACs are counted for functional and built Sequential models"
        )
    shapes = [tensor.shape for tensor in graph.inputs]
    if sample_shape is not None:
        if len(shapes) != 1 or not fits(sample_shape, shapes[0][1:]):
            taken = " and ".join(str(shape[1:]) for shape in shapes)
            raise UserError(
                f"the network {model.name!r} takes samples of shape {taken}, not {tuple(sample_shape)}: give theirs"
            )
        shapes = [(shapes[0][0], *sample_shape)]
    return _calls_in(graph, shapes)


def _calls_in(graph: Any, shapes: Sequence[Shape]) -> list[_Call]:
    """The same for a graph that is called on inputs of these shapes."""
    calls: list[_Call] = []

    def note(operation: keras.Operation, given: Shape, made: Shape) -> None:
        if isinstance(operation, keras.layers.Layer) and operation.weights:
            calls.append((operation, given, made))

    carry_shapes(graph, shapes, note)
    return calls


def _positions(layer: keras.layers.Layer, input_shape: Shape, output_shape: Shape) -> int | None:
    """At how many places each kernel element of a layer is used; None for layers of unknown kinds with matrices."""
    rule = next((_RULES[kind] for kind in type(layer).__mro__ if kind in _RULES), None)
    if rule is not None:
        places = rule(layer, input_shape, output_shape)
        if None in places:
            raise _open_size(layer, output_shape)
        return math.prod(int(n) for n in places if n is not None)
    if not isinstance(layer, _WITHOUT_MATRICES) and any(len(weight.shape) > 1 for weight in layer.weights):
        _LOG.warning("MACs of layer %r (%s) are not counted", layer.name, type(layer).__name__)
    return None


def _open_size(layer: keras.layers.Layer, shape: Shape) -> OpenSize:
    return OpenSize(f"layer {layer.name!r} works on an open shape {shape}: give the shape of a sample")


def _einsum_places(layer: keras.layers.EinsumDense, given: Shape, made: Shape) -> Shape:
    """Sizes of the input's axes that the kernel does not have, without the batch."""
    axes, _, kernel = layer.equation.partition("->")[0].replace(" ", "").partition(",")
    if "..." in axes:
        before, _, after = axes.partition("...")
        axes = before + "." * (len(given) - len(before) - len(after)) + after
    return tuple(size for axis, size in list(zip(axes, given, strict=True))[1:] if axis not in kernel)


def _spatial(layer: keras.layers.Layer, shape: Shape) -> Shape:
    return shape[2:] if layer.data_format == "channels_first" else shape[1:-1]


_layers = keras.layers
# Their weights, whatever their shape, meet each value by itself, or are looked up.
_WITHOUT_MATRICES = (
    *(_layers.PReLU, _layers.Normalization, _layers.LayerNormalization, _layers.RMSNormalization, _layers.Embedding),
    *(_layers.BatchNormalization, _layers.GroupNormalization),
)
_SHAPES: dict[Places, MacsRule] = {
    Places.VECTORS: lambda layer, given, made: made[1:-1],
    Places.OUTPUT_POSITIONS: lambda layer, given, made: _spatial(layer, made),
    Places.INPUT_POSITIONS: lambda layer, given, made: _spatial(layer, given),
    Places.EINSUM: _einsum_places,
    Places.ONCE: lambda layer, given, made: (),
}
for _name, _kind in KERNEL_KINDS.items():
    register_macs_rule(ConvLSTMCell if _name == "ConvLSTMCell" else getattr(_layers, _name), _SHAPES[_kind.places])
