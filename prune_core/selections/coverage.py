"""How much of a network a method can prune at all, and what it has to leave out. Plan-time: no TensorFlow."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from prune_core.models import ModelInfo
    from prune_core.weights import PrunableLayer

WORTH_SAYING = 0.2
"""Part of all weights left out, those of the output layer aside, from which on a person has to know."""
_MOST_NAMES = 3


def prunable_weights(layers: "Sequence[PrunableLayer]", kept_whole: Collection[str]) -> int:
    """Number of kernel weights that a method may prune: of `layers`, without those that it has to keep whole."""
    return sum(int(np.prod(layer.kernel.shape)) for layer in layers if not _is_kept(layer, kept_whole))


def left_out(model: "keras.Model", layers: "Sequence[PrunableLayer]", kept_whole: Collection[str]) -> dict[str, int]:
    """{layer: number of its weights in matrices that the method cannot prune}, the largest first.

    Output layers, biases and the statistics of normalisations are not among them: they are left out on purpose.
    """
    from prune_core.weights import leaf_layers, prunable_layers

    everywhere = prunable_layers(model)
    passed_by = {id(layer.bias) for layer in everywhere}
    passed_by |= {id(layer.kernel) for layer in everywhere if layer.is_output}
    passed_by |= {id(layer.kernel) for layer in layers if not _is_kept(layer, kept_whole)}
    found: dict[str, int] = {}
    for name, layer in leaf_layers(model):
        for variable in layer.weights:
            if len(variable.shape) >= 2 and id(variable) not in passed_by:
                passed_by.add(id(variable))
                label = f"{name} ({type(layer).__name__})"
                found[label] = found.get(label, 0) + int(np.prod(variable.shape))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def remark(prunable: int, total: int, missing: Mapping[str, int]) -> str | None:
    """One sentence for people if much of a network is out of a method's reach; None otherwise."""
    if sum(missing.values()) <= WORTH_SAYING * total:
        return None
    names = [f"{name} has {_percent(size, total)}" for name, size in list(missing.items())[:_MOST_NAMES]]
    more = ["others have the rest"] if len(missing) > _MOST_NAMES else []
    return (
        f"only {_percent(prunable, total)} of the network's {total:,} weights can be pruned this way: "
        f"{', '.join(names + more)}"
    )


def expectation(info: "ModelInfo", by_units: bool, prune_output: bool) -> str | None:
    """What `remark` will say at most, told from what is known before a network is built; None if it will say nothing.

    A verb and its objects, to be put after the name of a method.
    """
    if not info.kernel_sizes or None in info.kernel_sizes:
        return None
    sizes = dict(zip(info.kernel_layers, (size or 0 for size in info.kernel_sizes), strict=True))
    outputs = info.kernel_layers[len(sizes) - info.output_kernels :]
    in_scope = [name for name in sizes if prune_output or name not in outputs]
    reached = [name for name in in_scope if not by_units or name not in info.inner_kernels]
    prunable = sum(sizes[name] for name in reached)
    if info.parameters - sum(sizes[name] for name in {*reached, *outputs}) <= WORTH_SAYING * info.parameters:
        return None
    inner = "wrappers, recurrent and attention layers, " if by_units else ""
    return (
        f"reaches no more than {_percent(prunable, info.parameters)} of the network's {info.parameters:,} weights: it "
        f"leaves {inner}embeddings and the like whole"
    )


def _percent(part: int, total: int) -> str:
    return f"{100 * part / max(1, total):.3g} %"


def _is_kept(layer: "PrunableLayer", kept_whole: Collection[str]) -> bool:
    return layer.name in kept_whole or layer.inside in kept_whole
