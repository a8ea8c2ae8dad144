"""Rules of Keras's own layers with weights. They hold for the data format channels_last only."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers

from prune_core.graph.elementwise import is_elementwise_function
from prune_core.graph.links import conv_link, conv_transpose_link, dense_link, separable_link
from prune_core.graph.rule import Axes, Call, Link, Traced, built_in_rule

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def why_not(layer: Any) -> str | None:
    """The reason why this layer, although of a known class, cannot be cut; None if it can."""
    name = f"'{layer.name}' ({type(layer).__name__})"
    if getattr(layer, "quantization_mode", None) is not None or getattr(layer, "lora_enabled", False):
        return f"{name} is quantized or has LoRA weights, which cannot be cut"
    if getattr(layer, "data_format", None) == "channels_first":
        return f"{name} has data_format=channels_first, and only channels_last can be cut"
    if getattr(layer, "groups", 1) != 1:
        return f"{name} is a grouped convolution (groups={layer.groups}), which cannot be cut"
    if type(getattr(layer, "activation", None)) is layers.PReLU:
        return f"{name} has a PReLU as its activation: make it a layer of its own"
    return None


def activate(call: Call, ids: np.ndarray) -> None:
    """Pin channels that leave the layer through an activation which mixes them or may do so (softmax, a lambda)."""
    function = getattr(call.layer, "activation", None)
    if not is_elementwise_function(function):
        name = getattr(function, "__name__", type(function).__name__)
        call.pin(ids, f"'{call.path}' has the activation {name}, which is not known to be element-wise")


def linear_layer(call: Call, size: str, link: Callable[[Any], Link], *, swapped: bool = False) -> Traced:
    """A layer with one kernel (..., inputs, units), or (..., units, inputs) if `swapped`, and perhaps a bias."""
    if reason := why_not(call.layer):
        return call.opaque(reason)
    units = call.new_units(getattr(call.layer, size))
    activate(call, units)
    rank = len(call.layer.kernel.shape)
    last = (units, call.inputs[0]) if swapped else (call.inputs[0], units)
    weights = {"kernel": Axes((None,) * (rank - 2) + last, silent=rank - 2 if swapped else rank - 1)}
    if call.layer.use_bias:
        weights["bias"] = Axes((units,), silent=0)
    return Traced([units], weights, config={size: units}, link=link)


@built_in_rule(layers.Dense)
def _dense(call: Call) -> Traced:
    return linear_layer(call, "units", dense_link)


def _convolution(call: Call) -> Traced:
    return linear_layer(call, "filters", conv_link)


def _transposed(call: Call) -> Traced:
    return linear_layer(call, "filters", conv_transpose_link, swapped=True)


def _depthwise(call: Call) -> Traced:
    """Every input channel becomes `depth_multiplier` neighbouring output channels of the same id."""
    if reason := why_not(call.layer):
        return call.opaque(reason)
    channels = call.inputs[0]
    outputs = np.repeat(channels, call.layer.depth_multiplier)
    activate(call, outputs)
    rank = len(call.layer.kernel.shape)
    weights = {"kernel": Axes((None,) * (rank - 2) + (channels, None), silent=rank - 2)}
    if call.layer.use_bias:
        weights["bias"] = Axes((outputs,), silent=0)
    return Traced([outputs], weights)


def _separable(call: Call) -> Traced:
    if reason := why_not(call.layer):
        return call.opaque(reason)
    channels = call.inputs[0]
    units = call.new_units(call.layer.filters)
    activate(call, units)
    rank = len(call.layer.depthwise_kernel.shape)
    window = (None,) * (rank - 2)
    weights = {
        "depthwise_kernel": Axes((*window, channels, None)),
        "pointwise_kernel": Axes((*window, np.repeat(channels, call.layer.depth_multiplier), units), silent=rank - 1),
    }
    if call.layer.use_bias:
        weights["bias"] = Axes((units,), silent=0)
    return Traced([units], weights, config={"filters": units}, link=separable_link)


for _classes, _rule in (
    (_CONVOLUTIONS, _convolution),
    (_TRANSPOSED, _transposed),
    (_DEPTHWISE, _depthwise),
    (_SEPARABLE, _separable),
):
    for _class in _classes:
        built_in_rule(_class)(_rule)


@built_in_rule(layers.BatchNormalization)
def _batch_normalization(call: Call) -> Traced:
    """Silent are gamma and beta; without a gamma, the moving mean in its place: (0 - mean) / std would not be 0."""
    layer, rank = call.layer, len(call.input_shapes[0])
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if [axis % rank for axis in axes] != [rank - 1]:
        return call.opaque(f"'{call.path}' normalizes axis {layer.axis}, and only the last one can be cut")
    channels = call.inputs[0]
    silent = {"beta", "gamma" if layer.gamma is not None else "moving_mean"}
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {
        name: Axes((channels,), silent=0 if name in silent else None)
        for name in names
        if getattr(layer, name) is not None
    }
    return Traced([channels], weights)


@built_in_rule(layers.PReLU)
def _prelu(call: Call) -> Traced:
    channels, shape = call.inputs[0], call.layer.alpha.shape
    if shape[-1] != len(channels):  # one slope shared by all channels
        return Traced([channels])
    return Traced([channels], {"alpha": Axes((None,) * (len(shape) - 1) + (channels,))})
