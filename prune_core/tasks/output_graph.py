"""What a network's graph says about its outputs, followed through everything that hands values on.

A kind of values is carried from the inputs to the outputs. A softmax makes probabilities, a layer with a kernel makes
logits; a cast, a reshaping, an average leaves them what they are. Whatever is not known here makes values of which
nothing is known: then something else than the graph has to decide.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import layers

from prune_core.kernels import KERNEL_KINDS
from prune_core.network.keras_internals import is_keras_own
from prune_core.network.walk import GraphStep, graph_of, run_graph
from prune_core.tasks.output_values import LOGITS, PROBABILITIES, UNKNOWN, Kind, Values, is_probability

# Functions and layers by what they make of anything.
_NAMES = {
    Kind.PROBABILITIES: ("softmax", "sparsemax", "sigmoid", "hard_sigmoid", "sparse_sigmoid"),
    Kind.LOG_PROBABILITIES: ("log_softmax", "log_sigmoid"),
}
_FUNCTIONS = {
    getattr(module, name): kind
    for kind, names in _NAMES.items()
    for name in names
    for module in (keras.activations, keras.ops)
}
_KNOWN = [value for name, value in vars(keras.activations).items() if callable(value) and name != "linear"]
_SOFTMAXES = {"Softmax", "Sparsemax", "LogSoftmax"}
_MAKERS = {
    **dict.fromkeys(("Softmax", "Sparsemax", "Sigmoid", "HardSigmoid", "SparseSigmoid"), Kind.PROBABILITIES),
    **dict.fromkeys(("LogSoftmax", "LogSigmoid"), Kind.LOG_PROBABILITIES),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization"), Kind.LOGITS),
    **dict.fromkeys(("ReLU", "Relu", "Relu6", "LeakyReLU", "LeakyRelu", "PReLU", "ELU", "Elu", "Selu"), Kind.OTHER),
    **dict.fromkeys(("Gelu", "Silu", "Softplus", "Softsign", "Tanh", "HardTanh", "UnitNormalization"), Kind.OTHER),
}
# What multiplies with a kernel and ends in its own activation.
_LINEAR = {name for name, kind in KERNEL_KINDS.items() if not kind.is_cell}
_DROPOUTS = (
    *("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)
# What moves, picks or averages values, and what does nothing at inference.
_HAND_ON = {
    *("Identity", "ActivityRegularization", "GaussianNoise", *_DROPOUTS),
    *("Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Average"),
    *(f"{kind}{n}D" for kind in ("Cropping", "UpSampling", "AveragePooling", "MaxPooling") for n in (1, 2, 3)),
    *(f"Global{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)),
    *(f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)),
    # Bare operations.
    *("Cast", "SaturateCast", "ConvertToTensor", "StopGradient", "Copy", "View", "Squeeze", "ExpandDims", "Ravel"),
    *("Transpose", "Moveaxis", "Swapaxes", "GetItem", "Slice", "Take", "Flip", "Roll", "Rot90", "Repeat", "Tile"),
    *("BroadcastTo", "Stack", "Hstack", "Vstack", "Split", "Unstack", "Mean", "Median", "Max", "Amax", "Min", "Amin"),
    *("NanToNum", "AveragePool", "MaxPool", "AdaptiveAveragePool", "AdaptiveMaxPool"),
}


def by_graph(model: keras.Model) -> Values:
    """What the graph says about the first output of a network; nothing is known where there is no graph."""
    graph = graph_of(model)
    return UNKNOWN if graph is None else run_graph(graph, [UNKNOWN] * len(graph.inputs), _visit)[0]


def _visit(step: GraphStep) -> list[Values]:
    return [_values(step.operation, step)] * len(step.outputs)


def _given(step: GraphStep) -> list[Values]:
    """What is known of the inputs, with its type, which the walk does not know."""
    return step.inputs


def _values(operation: Any, step: GraphStep) -> Values:
    """What `operation` makes of its inputs; it is called in this step, or wrapped by the layer that is called."""
    if isinstance(operation, layers.Wrapper):
        return _inside(operation.layer, step)
    if not is_keras_own(operation):
        # The code of a person's own layer is not known, but its activation most likely comes last.
        made = _activated(getattr(operation, "activation", None), UNKNOWN, step)
        return made if made.kind is Kind.PROBABILITIES else UNKNOWN
    name = type(operation).__name__
    if name in _LINEAR:
        return _activated(operation.activation, LOGITS, step)
    if name == "Activation":
        return _activated(operation.activation, _given(step)[0], step)
    if name in _MAKERS:
        return _made(_MAKERS[name], name in _SOFTMAXES, getattr(operation, "axis", -1), step)
    if name in _HAND_ON:
        return _handed_on(operation, step)
    rule = _ARITHMETIC.get(name)
    return UNKNOWN if rule is None else rule(operation, step)


def _inside(layer: Any, step: GraphStep) -> Values:
    graph = graph_of(layer)
    if graph is not None:
        made: Values = run_graph(graph, step.inputs[: len(graph.inputs)], _visit)[0]
        return made
    return _values(layer, step)


def _activated(function: Any, before: Values, step: GraphStep) -> Values:
    if function is None or function is keras.activations.linear:
        return before
    if isinstance(function, layers.Layer):
        return _values(function, replace(step, inputs=[before]))
    kind = next((kind for known, kind in _FUNCTIONS.items() if known is function), None)
    if kind is None:
        return Values(Kind.OTHER) if any(known is function for known in _KNOWN) else UNKNOWN
    return _made(kind, function.__name__.endswith("max"), -1, step)


def _made(kind: Kind, is_softmax: bool, axis: Any, step: GraphStep) -> Values:
    """A softmax over one value is always 1, so it is not an answer."""
    if is_softmax:
        shape = step.outputs[0].shape
        axes = axis if isinstance(axis, Sequence) else [-1 if axis is None else axis]
        if all(shape[i] == 1 for i in axes):
            return Values(Kind.OTHER)
    return Values(kind)


def _handed_on(operation: Any, step: GraphStep) -> Values:
    first, *others = _given(step)
    if any((other.kind, other.total) != (first.kind, first.total) for other in others):
        return UNKNOWN
    dropped = type(operation).__name__ in _DROPOUTS and getattr(operation, "rate", 1.0) != 0
    found = [step.path] if dropped else [value.dropout for value in step.inputs if value.dropout]
    return replace(first, dropout=found[0] if found else None)


def _added(operation: Any, step: GraphStep) -> Values:
    """A sum with values of any size and sign is of that kind, too; probabilities add up."""
    if len(step.inputs) == 1 and 0 in map(_number, step.node.arguments.args):  # what sum([...]) begins with
        return _given(step)[0]
    kinds = {value.kind for value in step.inputs}
    if Kind.LOGITS in kinds:
        return LOGITS
    if len(step.inputs) > 1 and kinds == {Kind.PROBABILITIES}:
        return Values(Kind.PROBABILITIES, math.fsum(value.total for value in step.inputs))
    return Values(Kind.LOG_PROBABILITIES) if kinds == {Kind.LOG_PROBABILITIES} and len(step.inputs) > 1 else UNKNOWN


def _subtracted(operation: Any, step: GraphStep) -> Values:
    if any(value.kind is Kind.LOGITS for value in step.inputs):
        return LOGITS
    arguments = step.node.arguments.args
    is_complement = len(step.inputs) == 1 and len(arguments) > 1 and _number(arguments[0]) == 1
    return PROBABILITIES if is_complement and is_probability(_given(step)[0]) else UNKNOWN


def _multiplied(operation: Any, step: GraphStep) -> Values:
    if len(step.inputs) > 1:
        if any(value.kind is Kind.LOGITS for value in step.inputs):
            return LOGITS
        return PROBABILITIES if all(map(is_probability, step.inputs)) else UNKNOWN
    factors = [number for number in map(_number, step.node.arguments.args) if number is not None]
    return _scaled(_given(step)[0], factors[0] if len(factors) == 1 else None)


def _divided(operation: Any, step: GraphStep) -> Values:
    arguments = step.node.arguments.args
    if len(step.inputs) > 1 or len(arguments) < 2:
        return LOGITS if _given(step)[0].kind is Kind.LOGITS else UNKNOWN
    divisor = _number(arguments[1])
    return _scaled(_given(step)[0], 1 / divisor if divisor else None)


def _rescaled(operation: Any, step: GraphStep) -> Values:
    scale, offset = _number(operation.scale), _number(operation.offset)
    if _given(step)[0].kind is Kind.LOGITS:
        return _given(step)[0]
    return _scaled(_given(step)[0], scale) if offset == 0 else UNKNOWN


def _scaled(values: Values, factor: float | None) -> Values:
    """Values times a constant; None: one that is not a single number."""
    if values.kind is Kind.LOGITS:
        return values
    if factor is None or factor <= 0:
        return UNKNOWN
    if values.kind is Kind.PROBABILITIES:
        return replace(values, total=values.total * factor)
    return values if values.kind is Kind.LOG_PROBABILITIES else UNKNOWN


def _negated(operation: Any, step: GraphStep) -> Values:
    return _given(step)[0] if _given(step)[0].kind is Kind.LOGITS else UNKNOWN


def _logarithm(operation: Any, step: GraphStep) -> Values:
    return Values(Kind.LOG_PROBABILITIES) if _given(step)[0].kind is Kind.PROBABILITIES else UNKNOWN


def _bounded(operation: Any, step: GraphStep) -> Values:
    """The larger or smaller of several, or within constant bounds."""
    if len(step.inputs) > 1:
        return _handed_on(operation, step)
    return _given(step)[0] if _given(step)[0].kind is Kind.PROBABILITIES else UNKNOWN


_ARITHMETIC: dict[str, Callable[[Any, GraphStep], Values]] = {
    "Add": _added,
    "Subtract": _subtracted,
    "Multiply": _multiplied,
    "Divide": _divided,
    "TrueDivide": _divided,
    "Rescaling": _rescaled,
    "Negative": _negated,
    "Log": _logarithm,
    **dict.fromkeys(("Clip", "Maximum", "Minimum", "Fmax", "Fmin"), _bounded),
}


def _number(value: Any) -> float | None:
    """A constant of one number; None for anything else, symbolic tensors among them."""
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, keras.KerasTensor) or not (isinstance(value, np.ndarray) or keras.ops.is_tensor(value)):
        return None
    array = np.asarray(value)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "iuf" else None
