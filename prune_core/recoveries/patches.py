"""Inputs of a layer as rows of a matrix: one row for each output position, such that outputs = rows times kernel."""

from typing import Any

import keras
import numpy as np

from prune_core.network import GraphStep

_SAMPLES_AT_ONCE = 64


def can_be_unfolded(layer: Any) -> bool:
    """Whether the layer is a Dense layer or a plain convolution over one or two dimensions."""
    if type(layer) is keras.layers.Dense:
        return not getattr(layer, "lora_enabled", False)
    if type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D):
        return layer.groups == 1 and layer.data_format == "channels_last" and layer.padding in ("same", "valid")
    return False


def count_rows(layer: Any, step: GraphStep) -> int:
    """How many rows the inputs of a step have."""
    shape = np.shape(step.inputs[0])
    if isinstance(layer, keras.layers.Dense):
        return int(np.prod(shape[:-1]))
    return int(np.prod(layer.compute_output_shape(shape)[:-1]))


def rows_of(layer: Any, step: GraphStep, chosen: np.ndarray) -> np.ndarray:
    """Some rows of the inputs of a step, by ascending number; float64 (rows, inputs of one unit)."""
    values = keras.ops.convert_to_numpy(step.inputs[0])
    if isinstance(layer, keras.layers.Dense):
        return np.asarray(values.reshape(-1, values.shape[-1])[chosen], np.float64)
    each = count_rows(layer, step) // len(values)
    found = []
    for start in range(0, len(values), _SAMPLES_AT_ONCE):
        batch = values[start : start + _SAMPLES_AT_ONCE]
        first, last = np.searchsorted(chosen, [start * each, (start + len(batch)) * each])
        if last > first:
            found.append(_unfolded(layer, batch)[chosen[first:last] - start * each])
    return np.concatenate(found).astype(np.float64)


def _unfolded(layer: Any, batch: np.ndarray) -> np.ndarray:
    """All windows of a convolution over a batch, (samples x positions, window x channels) in the kernel's order."""
    window, strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    if len(window) == 1:
        batch = batch[:, None]
        window, strides, dilation = (1, *window), (1, *strides), (1, *dilation)
    patches = keras.ops.image.extract_patches(
        batch, size=window, strides=strides, dilation_rate=dilation, padding=layer.padding, data_format="channels_last"
    )
    patches = keras.ops.convert_to_numpy(patches)
    return np.reshape(patches, (-1, patches.shape[-1]))
