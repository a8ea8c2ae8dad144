"""Weights that were zero before: what an earlier pruning removed does not come back when a network is trained."""

from collections.abc import Mapping

import keras
import numpy as np

from prune_core.weights import prunable_layers, weight_variables


def zeros_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Masks of the kernels that have zeros: {weight path: bool array}, False where the weight is zero.

    Kernels of every layer count, the output layer's and recurrent ones too. A kernel that is zero throughout does not
    count: layers often begin so, and would stay so. Biases do not count either, since most of them begin at
    zero.
    """
    variables = weight_variables(model)
    kernels = {layer.path for layer in prunable_layers(model)}
    kernels |= {path for path in variables if path.rpartition("/")[2].endswith("kernel")}
    masks = {path: keras.ops.convert_to_numpy(variables[path]) != 0 for path in variables if path in kernels}
    return {path: mask for path, mask in masks.items() if mask.any() and not mask.all()}


def count_zeros(held: Mapping[str, np.ndarray]) -> int:
    """How many weights the masks of `zeros_of` hold at zero."""
    return sum(mask.size - int(np.count_nonzero(mask)) for mask in held.values())


def merged(masks: Mapping[str, np.ndarray], held: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Both masks at once: they keep at zero what `masks` removed and what was zero in `held`."""
    return {**held, **{path: mask & held[path] if path in held else mask for path, mask in masks.items()}}
