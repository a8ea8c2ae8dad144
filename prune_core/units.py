"""Units of a kernel: the outputs of its layer that can be removed, such as neurons and filters."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from prune_core.weights import PrunableLayer


def unit_axis(layer: "PrunableLayer") -> int | None:
    """The axis of a kernel along which its units lie; None for a kernel without units that could be removed: that of a
    depthwise convolution, which makes none of its own, and any inside of another layer.

    Last axis in general, second last in transposed convolutions, whose kernels are (..., units, inputs).
    """
    import keras

    if layer.inside is not None:
        return None

    depthwise = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    transposed = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
    if isinstance(layer.layer, depthwise) or layer.kernel is getattr(layer.layer, "depthwise_kernel", None):
        return None
    return -2 if isinstance(layer.layer, transposed) else -1


def along_units(layer: "PrunableLayer", values: np.ndarray) -> np.ndarray:
    """`values` (units,) in a shape that broadcasts along the units of a layer's kernel. The kernel must have units."""
    axis = unit_axis(layer)
    assert axis is not None
    dimensions = len(layer.kernel.shape)
    return np.expand_dims(values, [i for i in range(dimensions) if i != axis % dimensions])


def kernel_columns(layer: "PrunableLayer") -> np.ndarray | None:
    """A kernel as float64 of shape (weights of one unit, units); None where it has no units of its own."""
    axis = unit_axis(layer)
    if axis is None:
        return None
    kernel = layer.kernel.numpy().astype(np.float64)
    columns: np.ndarray = np.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis])
    return columns
