"""Masks of weights, `{weight path: bool array of its shape, True = kept}`, and what they leave of a network."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.masks.files import load_masks, save_masks
from prune_core.registry import closest
from prune_core.weights import PrunableLayer, prunable_layers, weight_variables

__all__ = ["apply_masks", "count_parameters", "kernel_sparsity", "load_masks", "mask_sparsity", "save_masks"]


def apply_masks(model: keras.Model, masks: Mapping[str, np.ndarray]) -> None:
    """Set the masked weights of a network to zero (never -0.0), in place; weights without a mask stay as they are.

    Raises:
        UserError: a weight path that the network does not have, or a mask of another shape; nothing is changed then.
    """
    variables = weight_variables(model)
    for path, mask in masks.items():
        if path not in variables:
            raise UserError(f"mask of {path!r} fits no weight of the network: {closest(path, variables)}")
        if np.shape(mask) != tuple(variables[path].shape):
            shape = tuple(variables[path].shape)
            raise UserError(f"mask of {path!r} has shape {np.shape(mask)} but its weight has {shape}")
    for path, mask in masks.items():
        value = keras.ops.convert_to_numpy(variables[path])
        variables[path].assign(np.where(mask, value, np.zeros((), value.dtype)))


def mask_sparsity(masks: Mapping[str, np.ndarray]) -> float:
    """Fraction of all masked elements that are removed; 0 where there are none."""
    total = sum(np.size(mask) for mask in masks.values())
    kept = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    return 1 - kept / total if total else 0.0


def kernel_sparsity(
    model: keras.Model, layers: Sequence[PrunableLayer] | None = None
) -> tuple[float, dict[str, float]]:
    """Fractions of kernel weights that are exactly zero: (over all layers together, {layer name: its own}).

    Args:
        model: the network.
        layers: of the network's prunable layers, those to look at; None: all.
    """
    zeros: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for layer in prunable_layers(model) if layers is None else layers:
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        sizes[layer.name] = kernel.size
        zeros[layer.name] = kernel.size - int(np.count_nonzero(kernel))
    overall = sum(zeros.values()) / max(1, sum(sizes.values()))
    return overall, {name: zeros[name] / max(1, sizes[name]) for name in sizes}


def count_parameters(model: keras.Model) -> tuple[int, int]:
    """(all, non-zero) numbers that inference needs: kernels, biases, BatchNormalization's gamma, beta and moving
    statistics, whether trainable or not. A weight that several layers share counts once.
    """
    variables = {id(variable): variable for variable in weight_variables(model).values()}
    arrays = [keras.ops.convert_to_numpy(variable) for variable in variables.values()]
    return sum(array.size for array in arrays), sum(int(np.count_nonzero(array)) for array in arrays)
