"""How relevance goes back through one operation. Every rule hands on what it receives, no more and no less.

With R the relevance of an operation's output and a its inputs, all rules are one of four:

* weights: R_i = sum_j |a_i||w_ij| / (sum_k |a_k||w_kj|) R_j, biases left out. With z the layer's linear map of |a|
  under |W|, that is |a| * d/d|a| sum(constant(R / z) * z), for every layer whose output is linear in its input.
* unchanged: element-wise operations hand R on as it is.
* routed: what is only moved or picked (Flatten, max pooling, Concatenate) gets the R of the place it went to.
* in proportion: sums and averages share R out by |a|.
"""

import functools
import operator
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from keras import layers, ops

from prune_core.errors import UserError
from prune_core.network.keras_internals import causal_padding, is_keras_function
from prune_core.relevance.steps import RelevanceStep
from prune_core.weights import kernel_attributes

RelevanceRule = Callable[[RelevanceStep, tf.Tensor], Sequence[tf.Tensor]]

# Added to z, so that where z is 0 nothing is passed on (the amounts that R / z is multiplied by are 0 as well).
_TINY = 1e-30

_RULES: dict[type, RelevanceRule] = {}


def register_relevance_rule(layer_class: type, rule: RelevanceRule) -> None:
    """Teach relevance propagation a layer; replaces an existing rule. Subclasses need a registration of their own.

    Args:
        layer_class: a Keras layer or operation class.
        rule: `rule(step, relevance)` with `relevance` of the shape of `step.output`; returns one tensor for each of
            `step.inputs`, of its shape, whose sums over a sample make up that of `relevance`.

    Example:
        >>> register_relevance_rule(MyActivation, unchanged)
    """
    _RULES[layer_class] = rule


def rule_of(step: RelevanceStep) -> RelevanceRule:
    """The rule of a step's operation. Raises UserError naming the layer if there is none."""
    operation = step.operation
    rule = _RULES.get(type(operation))
    if rule is None and is_keras_function(operation):
        rule = _BARE_OPERATIONS.get(type(operation).__name__)
    if rule is None:
        raise UserError(
            f"layer {step.name!r} ({type(operation).__name__}) has no relevance rule: "
            "use another score, or give it one with prune_core.relevance.register_relevance_rule"
        )
    return rule


def unchanged(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Element-wise operations: activations, normalisation, dropout, scaling."""
    return [relevance]


def routed(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Data movement, and maxima, where the winner takes all."""
    return _pull_back(step.run, step.inputs, relevance)


def in_proportion(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Averages over positions: each input gets its share of the sum of absolute values."""
    return _share_out(step.run, step.inputs, relevance)


def through_weights(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Layers that multiply with a kernel: share out under the absolute weights, biases left out."""
    layer = step.operation
    with tf.init_scope():  # while the pass is compiled, so once for all batches
        kernels = [tf.abs(tf.cast(getattr(layer, name), tf.float32)) for name in kernel_attributes(layer)]
    linear_map = _LINEAR_MAPS[type(layer)]
    return _share_out(lambda tensors: linear_map(layer, tensors[0], *kernels), step.inputs, relevance)


def looked_up(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Embeddings: an index gets the relevance of its whole vector."""
    return [tf.reduce_sum(relevance, axis=-1)]


def summed(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Sums, differences and averages of tensors, in proportion; a constant among the terms counts as a bias."""
    return [relevance] if len(step.inputs) == 1 else _share_out(_total, step.inputs, relevance)


def multiplied(step: RelevanceStep, relevance: tf.Tensor) -> Sequence[tf.Tensor]:
    """Products: every factor has the same part in them; constants have none."""
    if len(step.inputs) == 1:
        return [relevance]
    return _pull_back(_total, step.inputs, relevance / len(step.inputs))


def _total(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(operator.add, tensors)


def _share_out(
    linear_map: Callable[[Sequence[tf.Tensor]], tf.Tensor], inputs: Sequence[tf.Tensor], relevance: tf.Tensor
) -> list[tf.Tensor]:
    amounts = [tf.abs(tf.cast(tensor, tf.float32)) for tensor in inputs]
    with tf.GradientTape() as tape:
        tape.watch(amounts)
        total = linear_map(amounts)
    per_amount = relevance / (tf.cast(total, tf.float32) + _TINY)
    gradients = tape.gradient(
        total, amounts, tf.cast(per_amount, total.dtype), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return [amount * gradient for amount, gradient in zip(amounts, gradients, strict=True)]


def _pull_back(
    function: Callable[[Sequence[tf.Tensor]], tf.Tensor], inputs: Sequence[tf.Tensor], relevance: tf.Tensor
) -> list[tf.Tensor]:
    tensors = [tf.cast(tensor, tf.float32) for tensor in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = function(tensors)
    shares: list[tf.Tensor] = tape.gradient(
        output, tensors, tf.cast(relevance, output.dtype), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return shares


def _dense(layer: layers.Dense, tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return ops.matmul(tensor, kernel)


def _conv(layer: keras.Layer, tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    padding = layer.padding
    if padding == "causal":  # Conv1D only: pad the past
        tensor = ops.pad(tensor, causal_padding(layer))
        padding = "valid"
    return ops.conv(tensor, kernel, list(layer.strides), padding, layer.data_format, layer.dilation_rate)


def _conv_transpose(layer: keras.Layer, tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return ops.conv_transpose(
        tensor,
        kernel,
        list(layer.strides),
        layer.padding,
        layer.output_padding,
        layer.data_format,
        layer.dilation_rate,
    )


def _depthwise_conv(layer: keras.Layer, tensor: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return ops.depthwise_conv(tensor, kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate)


def _separable_conv(layer: keras.Layer, tensor: tf.Tensor, depthwise: tf.Tensor, pointwise: tf.Tensor) -> tf.Tensor:
    return ops.separable_conv(
        tensor, depthwise, pointwise, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
    )


_LINEAR_MAPS: dict[type, Callable[..., tf.Tensor]] = {
    layers.Dense: _dense,
    layers.Conv1D: _conv,
    layers.Conv2D: _conv,
    layers.Conv3D: _conv,
    layers.Conv1DTranspose: _conv_transpose,
    layers.Conv2DTranspose: _conv_transpose,
    layers.Conv3DTranspose: _conv_transpose,
    layers.DepthwiseConv1D: _depthwise_conv,
    layers.DepthwiseConv2D: _depthwise_conv,
    layers.SeparableConv1D: _separable_conv,
    layers.SeparableConv2D: _separable_conv,
}

_LAYERS: dict[RelevanceRule, tuple[str, ...]] = {
    unchanged: (
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Identity", "ActivityRegularization"),
        *("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"),
        *("Masking", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
        *("GaussianDropout", "GaussianNoise", "Rescaling", "Normalization"),
        # Augmentation, which does nothing at inference.
        *("RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"),
    ),
    looked_up: ("Embedding",),
    routed: (
        *("Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Maximum", "Minimum"),
        *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D"),
        *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
        *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"),
    ),
    in_proportion: (
        *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
        *("UpSampling1D", "UpSampling2D", "UpSampling3D"),
    ),
    summed: ("Add", "Average", "Subtract"),
    multiplied: ("Multiply",),
}

# Operations applied to tensors without a layer, such as `x + y` and `keras.ops.relu(x)`, by the name of their class.
_BARE_OPERATIONS: dict[str, RelevanceRule] = {
    name: rule
    for rule, names in {
        unchanged: (
            *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "HardSilu", "Sigmoid", "HardSigmoid"),
            *("Softplus", "Softsign", "Softmax", "Tanh", "Absolute", "Abs", "Square", "Sqrt", "Negative", "Clip"),
        ),
        routed: (
            *("GetItem", "Reshape", "Transpose", "Concatenate", "ExpandDims", "Squeeze", "Ravel", "Pad", "Flip"),
            *("Max", "Amax", "Maximum", "Minimum", "Moveaxis", "Swapaxes", "Stack", "MaxPool"),
        ),
        in_proportion: ("Mean", "Sum", "AveragePool"),
        summed: ("Add", "Subtract"),
        multiplied: ("Multiply",),
    }.items()
    for name in names
}

for _rule, _names in _LAYERS.items():
    for _name in _names:
        register_relevance_rule(getattr(layers, _name), _rule)
for _layer_class in _LINEAR_MAPS:
    register_relevance_rule(_layer_class, through_weights)
