"""Multiply-accumulates: what one inference of a network costs, independent of the machine."""

import logging
import math
from collections.abc import Callable, Iterator

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.weights import kernel_attributes

_LOG = logging.getLogger(__name__)
_Shape = tuple[int | None, ...]


def count_macs(model: keras.Model, nonzero_only: bool = False) -> int:
    """Multiply-accumulates of the kernels for one input sample.

    A kernel element counts once for every place it is used at: Dense on vectors 1, convolutions the positions of their
    output, transposed convolutions those of their input. Positions at a padded border count in full, as dense kernels
    compute them. A layer or nested model that is called twice counts twice. What is done to each value by itself
    (biases, normalisation, activations, PReLU's slopes, too), pooling and looking up embeddings are not counted; layers
    with matrices of other kinds (recurrent, attention, custom) are not either, which is logged as a warning.

    Args:
        model: a functional or Sequential model whose input shape, but for the batch, is fixed.
        nonzero_only: count only kernel elements that are not zero: the cost on hardware that skips zeros.

    Raises:
        UserError: a subclassed or unbuilt model, or an input shape that leaves the positions open.
    """
    count = np.count_nonzero if nonzero_only else np.size
    total, elements = 0, {}
    for layer, input_shape, output_shape in _calls(model):
        positions = _positions(layer, input_shape, output_shape)
        if positions is None:
            continue
        for attribute in kernel_attributes(layer):
            kernel = getattr(layer, attribute)
            if id(kernel) not in elements:
                elements[id(kernel)] = int(count(keras.ops.convert_to_numpy(kernel)))
            total += elements[id(kernel)] * positions
    return total


def _calls(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, _Shape, _Shape]]:
    """(layer, input shape, output shape) of every call of a layer with weights, nested models' too."""
    if not getattr(model, "inputs", None):
        raise UserError(
            f"model {model.name!r} has no graph: MACs are counted for functional and built Sequential models"
        )
    graph = keras.Model(model.inputs, model.outputs)  # a Sequential keeps its own to itself
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            operation = node.operation
            if isinstance(operation, keras.Model):
                _check_called_as_built(operation, node.input_tensors)
                yield from _calls(operation)
            elif isinstance(operation, keras.layers.Layer) and operation.weights:
                yield operation, node.input_tensors[0].shape, node.outputs[0].shape


def _check_called_as_built(model: keras.Model, inputs: list[keras.KerasTensor]) -> None:
    for own, given in zip(model.inputs, inputs, strict=True):
        if own.shape[1:] != given.shape[1:]:
            raise UserError(
                f"nested model {model.name!r} is called with shape {given.shape[1:]} but was built for "
                f"{own.shape[1:]}: build it for the shape it is used with"
            )


def _positions(layer: keras.layers.Layer, input_shape: _Shape, output_shape: _Shape) -> int | None:
    """At how many places each kernel element of a layer is used; None for layers of unknown kinds with matrices."""
    for kinds, shape_of in _POSITIONS:
        if isinstance(layer, kinds):
            places = shape_of(layer, input_shape, output_shape)
            if None in places:
                raise UserError(
                    f"layer {layer.name!r} works on an open shape {output_shape}: fix the model's input shape"
                )
            return math.prod(int(n) for n in places if n is not None)
    if not isinstance(layer, _WITHOUT_MATRICES) and any(len(weight.shape) > 1 for weight in layer.weights):
        _LOG.warning("MACs of layer %r (%s) are not counted", layer.name, type(layer).__name__)
    return None


def _spatial(layer: keras.layers.Layer, shape: _Shape) -> _Shape:
    return shape[2:] if layer.data_format == "channels_first" else shape[1:-1]


_layers = keras.layers
# Their weights, whatever the shape of them, meet each value by itself, or are looked up.
_WITHOUT_MATRICES = (
    *(_layers.PReLU, _layers.Normalization, _layers.LayerNormalization, _layers.RMSNormalization, _layers.Embedding),
    *(_layers.BatchNormalization, _layers.GroupNormalization),
)
# First match counts: Keras derives the transposed and separable convolutions from other bases than the plain ones.
_POSITIONS: list[
    tuple[tuple[type[keras.layers.Layer], ...], Callable[[keras.layers.Layer, _Shape, _Shape], _Shape]]
] = [
    ((_layers.Dense,), lambda layer, given, made: made[1:-1]),
    (
        (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose),
        lambda layer, given, made: _spatial(layer, given),
    ),
    (
        (
            *(_layers.Conv1D, _layers.Conv2D, _layers.Conv3D, _layers.DepthwiseConv1D, _layers.DepthwiseConv2D),
            *(_layers.SeparableConv1D, _layers.SeparableConv2D),
        ),
        lambda layer, given, made: _spatial(layer, made),
    ),
]
