"""Pruning of a single Keras layer by count: its k smallest weights, or its k smallest units."""

from numbers import Integral

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.scores import along_units, kernel_columns
from prune_core.selections import all_but_lowest
from prune_core.weights import PrunableLayer, kernel_attributes


def prune_weights(layer: keras.layers.Layer, k: int) -> np.ndarray:
    """Set the k kernel weights of least magnitude of a built layer to zero, in place.

    Among weights of equal magnitude, those that come first in the kernel, read row by row, are removed. The bias stays.

    Returns:
        Bool array of the kernel's shape, True = kept; False exactly k times.

    Raises:
        UserError: a layer without one kernel, one that is not built, weights that are not finite, or k outside 0 to the
            number of weights.
    """
    target = _with_kernel(layer)
    values = np.abs(keras.ops.convert_to_numpy(target.kernel))
    kept = all_but_lowest(values, _count(layer, k, values.size, "weights"))
    _zero(target.kernel, kept)
    return kept


def prune_units(layer: keras.layers.Layer, k: int) -> np.ndarray:
    """Set the k units of smallest Euclidean norm of a built layer to zero, in place.

    A unit is a column of a Dense kernel or a filter of a convolution; the bias is not part of its norm but becomes zero
    with it. Among units of equal norm, those that come first are removed.

    Returns:
        Bool array (units,), True = kept; False exactly k times.

    Raises:
        UserError: a layer without one kernel or without units of its own, one that is not built, weights that are not
            finite, or k outside 0 to the number of units.
    """
    target = _with_kernel(layer)
    columns = kernel_columns(target)
    if columns is None:
        raise UserError(f"layer {layer.name!r} is depthwise and has no units of its own: use prune_weights")
    norms = np.linalg.norm(columns, axis=0)
    kept = all_but_lowest(norms, _count(layer, k, norms.size, "units"))
    _zero(target.kernel, along_units(target, kept))
    if target.bias is not None:
        _zero(target.bias, kept)
    return kept


def _with_kernel(layer: keras.layers.Layer) -> PrunableLayer:
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.Model):
        raise UserError(f"{type(layer).__name__} is not a single Keras layer: give one, or use prune_core.prune")
    if not layer.built:
        raise UserError(f"layer {layer.name!r} has no weights yet: call layer.build(input_shape) first")
    kernels = kernel_attributes(layer)
    if len(kernels) != 1:
        raise UserError(f"layer {layer.name!r} has {len(kernels)} kernels: give one such as Dense or Conv2D")
    kernel = getattr(layer, kernels[0])
    if not np.isfinite(keras.ops.convert_to_numpy(kernel)).all():
        raise UserError(f"layer {layer.name!r} holds weights that are not finite: train with a lower learning rate")
    bias = getattr(layer, "bias", None)
    return PrunableLayer(layer.name, layer, kernel, bias, path="kernel", bias_path="bias", is_output=False)


def _count(layer: keras.layers.Layer, k: int, size: int, what: str) -> int:
    if not isinstance(k, Integral) or isinstance(k, bool) or not 0 <= k <= size:
        raise UserError(f"k={k!r} must be a whole number from 0 to {size}, the number of {what} of {layer.name!r}")
    return int(k)


def _zero(variable: keras.Variable, kept: np.ndarray) -> None:
    value = keras.ops.convert_to_numpy(variable)
    variable.assign(np.where(kept, value, np.zeros((), value.dtype)))
