"""Rules of layers without weights: element-wise, pooling, padding, merging and moving data; bare operations."""

from typing import Any

import numpy as np
from keras import layers

from prune_core.graph.elementwise import ACTIVATION_LAYERS, is_elementwise_operation, is_keras_operation
from prune_core.graph.rule import Call, Rule, Traced, built_in_rule
from prune_core.graph.rules import activate, why_not

_CHANNEL_BY_CHANNEL: tuple[type, ...] = (
    *ACTIVATION_LAYERS,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.RepeatVector,
)


def channel_by_channel(call: Call) -> Traced:
    """Every output channel depends on the input channel at its place and on nothing else."""
    if reason := why_not(call.layer):
        return call.opaque(reason)
    return Traced([call.inputs[0]])


for _class in _CHANNEL_BY_CHANNEL:
    built_in_rule(_class)(channel_by_channel)


@built_in_rule(layers.Activation)
def _activation(call: Call) -> Traced:
    activate(call, call.inputs[0])
    return Traced([call.inputs[0]])


@built_in_rule(layers.Rescaling)
def _rescaling(call: Call) -> Traced:
    if np.ndim(call.layer.scale) or np.ndim(call.layer.offset):
        return call.opaque(f"'{call.path}' rescales channels by different numbers, which cannot be cut")
    return Traced([call.inputs[0]])


def merged(call: Call) -> Traced:
    """Channels at the same place belong together: one goes only if all go."""
    first = call.inputs[0]
    if any(len(ids) != len(first) for ids in call.inputs):
        return call.opaque(f"'{call.path}' broadcasts one channel over many, which cannot be cut")
    for ids in call.inputs[1:]:
        call.unite(first, ids)
    return Traced([first])


for _class in (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum):
    built_in_rule(_class)(merged)


@built_in_rule(layers.Concatenate)
def concatenated(call: Call) -> Traced:
    """Along the last axis channels stand side by side; along any other they belong together."""
    rank = len(call.input_shapes[0])
    return Traced([np.concatenate(call.inputs)]) if call.layer.axis % rank == rank - 1 else merged(call)


def moved(call: Call) -> Traced | None:
    """Data movement that leaves the channels on the last axis, in their order; None if it does anything else."""
    channels = call.inputs[0]
    places = _run_on_ids(call)
    if places is None or places.shape[-1] != len(channels) or not (places == channels).all():
        return None
    return Traced([channels])


@built_in_rule(layers.Permute)
def _moved_or_opaque(call: Call) -> Traced:
    return moved(call) or call.opaque(f"'{call.path}' takes channels off the last axis, which cannot be followed")


def reshaped(call: Call) -> np.ndarray | None:
    """Ids of the last axis after a reshape. Channels that end up in one column of it are united."""
    places = _run_on_ids(call)
    if places is None:
        return None
    rows = places.reshape(-1, places.shape[-1])
    first: np.ndarray = rows[0]
    for row in np.unique(rows, axis=0):
        call.unite(first, row)
    return first


@built_in_rule(layers.Flatten)
def _flatten(call: Call) -> Traced:
    ids = reshaped(call)
    return call.opaque(f"'{call.path}' flattens axes of unknown size") if ids is None else Traced([ids])


@built_in_rule(layers.Reshape)
def _reshape(call: Call) -> Traced:
    ids = reshaped(call)
    if ids is None:
        return call.opaque(f"'{call.path}' reshapes axes of unknown size")
    return Traced([ids], config={"target_shape": (*call.layer.target_shape[:-1], ids)})


def operation_rule(operation: Any) -> Rule | None:
    """The rule of a bare `keras.ops` operation such as the `+` in `x + y`, or None."""
    if is_elementwise_operation(operation):
        return _elementwise_operation
    return _OPERATIONS.get(type(operation).__name__) if is_keras_operation(operation) else None


def _elementwise_operation(call: Call) -> Traced:
    if any(np.size(value) > 1 for value in call.constants()):
        return call.opaque(f"'{call.path}' joins channels with an array of constants, which cannot be cut")
    return merged(call)


def _reshape_operation(call: Call) -> Traced:
    ids = reshaped(call)
    if ids is None:
        return call.opaque(f"'{call.path}' reshapes axes of unknown size")
    return Traced([ids], config={"newshape": (*call.layer.newshape[:-1], ids)})


def _reduced(call: Call) -> Traced:
    rank, axis = len(call.input_shapes[0]), call.layer.axis
    axes = range(rank) if axis is None else np.atleast_1d(axis)
    if any(int(a) % rank in (0, rank - 1) for a in axes):
        return call.opaque(f"'{call.path}' reduces over the channels or the batch")
    return Traced([call.inputs[0]])


_OPERATIONS: dict[str, Rule] = {
    "Reshape": _reshape_operation,
    "Concatenate": concatenated,
    "Mean": _reduced,
    "Sum": _reduced,
    "Max": _reduced,
    "Min": _reduced,
    **dict.fromkeys(("GetItem", "ExpandDims", "Squeeze", "Transpose", "Swapaxes", "Moveaxis"), _moved_or_opaque),
}


def _run_on_ids(call: Call) -> np.ndarray | None:
    """Run the operation itself on the ids of one sample, spread over all axes; the result has no batch axis.

    None if the output's last axis has no fixed size. Other axes of unknown size are taken as 2 long: whatever the
    operation does to channels, it does at every place alike.
    """
    shape = [2 if size is None else size for size in call.input_shapes[0][1:]]
    sample = np.broadcast_to(call.inputs[0], shape)[None]
    output_shape = call.output_shapes[0]
    if None in output_shape[-1:]:
        return None
    result = call.run_on(sample)
    fits = result.shape[:1] == (1,) and len(result.shape) == len(output_shape)
    return result[0] if fits and result.shape[-1] == output_shape[-1] else None
