"""How the linear layers of Keras mix their inputs (see `Link`)."""

from typing import Any

import keras
import numpy as np

from prune_core.graph.rule import Link


def dense_link(layer: Any) -> Link:
    """Dense: kernel (inputs, units)."""
    kernel = _numpy(layer.kernel)
    return Link(coupled=kernel != 0, gain=kernel)


def conv_link(layer: Any) -> Link:
    """Convolution: kernel (*window, inputs, filters). A constant sums over the window unless zeros are padded."""
    kernel = _numpy(layer.kernel)
    window = tuple(range(kernel.ndim - 2))
    return Link(
        coupled=(kernel != 0).any(axis=window),
        gain=_window_sum(kernel) if _never_pads(layer) else None,
    )


def conv_transpose_link(layer: Any) -> Link:
    """Transposed convolution: kernel (*window, filters, inputs). Borders and strides get only parts of the window."""
    kernel = np.swapaxes(_numpy(layer.kernel), -1, -2)
    window = tuple(range(kernel.ndim - 2))
    pointwise = all(size == 1 for size in (*layer.kernel_size, *layer.strides))
    return Link(coupled=(kernel != 0).any(axis=window), gain=_window_sum(kernel) if pointwise else None)


def separable_link(layer: Any) -> Link:
    """Separable convolution: depthwise kernel (*window, inputs, multiplier), pointwise (1.., inputs * m, filters)."""
    depthwise = _numpy(layer.depthwise_kernel)
    inputs, multiplier = depthwise.shape[-2:]
    pointwise = _numpy(layer.pointwise_kernel).reshape(inputs, multiplier, -1)
    window = tuple(range(depthwise.ndim - 2))
    reached = (depthwise != 0).any(axis=window)
    gain = None
    if _never_pads(layer):
        gain = np.einsum("cm,cmf->cf", _window_sum(depthwise), pointwise.astype(np.float64))
    return Link(coupled=(reached[:, :, None] & (pointwise != 0)).any(axis=1), gain=gain)


def _never_pads(layer: Any) -> bool:
    return layer.padding == "valid" or all(size == 1 for size in layer.kernel_size)


def _window_sum(kernel: np.ndarray) -> np.ndarray:
    total: np.ndarray = kernel.astype(np.float64).sum(axis=tuple(range(kernel.ndim - 2)))
    return total


def _numpy(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
