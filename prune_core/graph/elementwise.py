"""Which functions treat every number by itself: activations, layers and bare operations known to be element-wise."""

from typing import Any

import keras

from prune_core.network.keras_internals import is_keras_own

# fmt: off
_FUNCTION_NAMES = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "swish", "mish", "tanh",
    "tanh_shrink", "hard_tanh", "hard_shrink", "soft_shrink", "sigmoid", "hard_sigmoid", "hard_silu", "hard_swish",
    "log_sigmoid", "sparse_sigmoid", "softplus", "softsign", "squareplus", "sparse_plus", "threshold", "exponential",
    "exp", "square", "sqrt", "abs", "absolute", "negative", "sin", "cos",
]

_OPERATION_NAMES = {
    "ReLU", "Relu", "Relu6", "LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "Silu", "Mish", "Tanh", "TanhShrink",
    "HardTanh", "HardShrink", "SoftShrink", "Sigmoid", "HardSigmoid", "HardSilu", "LogSigmoid", "SparseSigmoid",
    "Softplus", "Softsign", "Squareplus", "SparsePlus", "Threshold", "Exp", "Expm1", "Log", "Log1p", "Square", "Sqrt",
    "Rsqrt", "Absolute", "Abs", "Negative", "Reciprocal", "Sin", "Cos", "Erf", "Clip", "Round", "Floor", "Ceil",
    "Sign", "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "DivideNoNan", "Maximum", "Minimum", "Power", "Cast",
}
# fmt: on

_FUNCTIONS = {
    getattr(module, name)
    for module in (keras.activations, keras.ops)
    for name in _FUNCTION_NAMES
    if hasattr(module, name)
}

ACTIVATION_LAYERS: tuple[type, ...] = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


def is_elementwise_function(function: Any) -> bool:
    """Whether an `activation` attribute (a function, a weightless layer, or None) maps every number by itself."""
    return function is None or type(function) in ACTIVATION_LAYERS or _is_known_function(function)


def is_elementwise_operation(operation: Any) -> bool:
    """Whether a bare `keras.ops` operation maps every number by itself, after the usual broadcasting."""
    return is_keras_operation(operation) and type(operation).__name__ in _OPERATION_NAMES


def is_keras_operation(operation: Any) -> bool:
    """Whether this is one of Keras's own bare operations (not a layer, not a user's operation)."""
    return is_keras_own(operation) and not isinstance(operation, keras.layers.Layer)


def _is_known_function(function: Any) -> bool:
    try:
        return function in _FUNCTIONS
    except TypeError:  # an unhashable callable is not one of these
        return False
