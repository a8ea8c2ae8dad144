"""What a pruning delivers, and the numbers that tell what it is."""

import keras
import numpy as np

from prune_core.data.fit import fits
from prune_core.graph import shrink
from prune_core.masks import count_parameters, kernel_sparsity
from prune_core.measure import OpenSize, count_macs
from prune_core.pruning import Pruning
from prune_core.selections.coverage import left_out, prunable_weights, remark


def weight_and_work(pruning: Pruning, dense: keras.Model, delivered: keras.Model) -> dict[str, float]:
    """Parameters, and multiply-accumulates for one sample, before and after; without these where the size is open."""
    figures: dict[str, float] = {
        "params_total": count_parameters(dense)[0],
        "params_nonzero": count_parameters(delivered)[1],
    }
    shape = _sample_shape(pruning)
    try:
        figures["macs"] = count_macs(delivered, nonzero_only=True, sample_shape=shape)
        figures["macs_baseline"] = count_macs(dense, sample_shape=shape)
    except OpenSize as error:
        pruning.warnings.append(f"macs are left out, since the network takes samples of any size: {error}, data=x")
    return figures


def _sample_shape(pruning: Pruning) -> tuple[int, ...] | None:
    """Shape of one sample, if there are data and they fit the network."""
    shape = None if pruning.data is None else np.shape(pruning.data.x_train)[1:]
    is_known = shape is not None and len(pruning.model.inputs) == 1 and fits(shape, pruning.model.inputs[0].shape[1:])
    return shape if is_known else None


def describe_masks(pruning: Pruning) -> None:
    overall, by_layer = kernel_sparsity(pruning.model, pruning.layers)
    pruning.figures["sparsity"] = overall
    for layer in pruning.layers:
        pruning.figures[f"sparsity.{layer.name}"] = by_layer[layer.name]
        if by_layer[layer.name] == 1:
            pruning.warnings.append(f"{layer.name} is dead: all of its weights are zero")


def describe_coverage(pruning: Pruning) -> None:
    """How much of the network the method could prune."""
    prunable = prunable_weights(pruning.layers, pruning.kept_whole)
    pruning.figures["params_prunable"] = prunable
    missing = left_out(pruning.model, pruning.layers, pruning.kept_whole)
    sentence = remark(prunable, int(pruning.figures["params_total"]), missing)
    if sentence is not None and pruning.spec.prunes:
        pruning.warnings.insert(0, sentence)


def deliver(pruning: Pruning) -> keras.Model:
    delivered = pruning.model
    if pruning.spec.granularity_entry.removes:
        with pruning.watch.step("shrink"):
            shrunk = shrink(pruning.model, _sample_shape(pruning))
        delivered = shrunk.model
        pruning.figures["shrink_difference"] = shrunk.max_difference
        pruning.figures |= {f"units.{name}": len(kept) for name, kept in shrunk.kept.items()}
        inner = {layer.name for layer in pruning.layers if not layer.is_output} - pruning.kept_whole
        pruning.warnings += [f"{name} has silent units: {why}" for name, why in shrunk.pinned.items() if name in inner]
    return delivered
