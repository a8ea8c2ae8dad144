"""Units: what a residual connection couples is scored, kept and removed together."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prune_core.granularities.base import Group, Grouping, Masks
from prune_core.graph import channel_classes, unit_masks
from prune_core.scores.base import ScoringContext
from prune_core.units import along_units, unit_axis
from prune_core.weights import PrunableLayer, leaf_layers


class _Coupled(NamedTuple):
    """Channel classes that are removed independently of one another, of layers that share some of them."""

    group: Group
    classes: np.ndarray


def coupled_units(ctx: ScoringContext, scores: Mapping[str, np.ndarray]) -> Grouping:
    """One group a set of layers that are coupled, whose scores are the sums over the units of each channel class.

    The units of an output layer are a group of their own. They are the network's outputs: silenced, never removed.
    """
    classes = channel_classes(ctx.model)
    layers = {layer.name: layer for layer in ctx.layers}
    outputs = [layer for layer in ctx.layers if layer.is_output and layer.name in scores]
    inner = {name: score for name, score in scores.items() if not layers[name].is_output}
    coupled: list[_Coupled] = []
    for component in classes.components():
        units = {name: classes.units[name] for name in component.layers if name in inner}
        free = component.classes[~classes.pinned[component.classes]]
        if units and len(free):
            coupled.append(_Coupled(_group(free, units, inner, layers, ctx.masks), free))
    silenced = [_output_group(layer, scores[layer.name], ctx.masks) for layer in outputs]

    def masks(kept: Sequence[np.ndarray]) -> Masks:
        gone = [free[~keep] for (_, free), keep in zip(coupled, kept[: len(coupled)], strict=True)]
        found = {layer.path: np.ones(tuple(layer.kernel.shape), bool) for layer in ctx.layers}
        found |= unit_masks(ctx.model, classes, np.concatenate([*gone, np.empty(0, np.int64)]))
        for layer, keep in zip(outputs, kept[len(coupled) :], strict=True):
            found[layer.path] = found[layer.path] & along_units(layer, keep)
            if layer.bias_path:
                found[layer.bias_path] = keep
        return found

    pinned = {name: why for name, why in classes.pinned_reasons.items() if name in inner}
    return Grouping([*(group for group, _ in coupled), *silenced], masks, pinned | _without_units(ctx))


def _group(
    free: np.ndarray,
    units: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    layers: Mapping[str, PrunableLayer],
    masks: Mapping[str, np.ndarray],
) -> Group:
    """The classes out of `free` (sorted ids); `units` says to which class each unit of each layer belongs."""
    totals = np.zeros(len(free))
    removed = np.zeros(len(free), dtype=bool)
    parts = []
    for name, ids in units.items():
        movable = np.isin(ids, free)
        own = np.searchsorted(free, ids[movable])
        np.add.at(totals, own, scores[name][movable])
        removed[own[_removed_units(layers[name], masks)[movable]]] = True
        if len(own) == len(ids) and len(np.unique(own)) < len(free):
            parts.append(own)  # layers of one component may own different classes: none may end up empty
    return Group(" + ".join(units), totals, removed, tuple(layers[name] for name in units), True, tuple(parts))


def _output_group(layer: PrunableLayer, scores: np.ndarray, masks: Mapping[str, np.ndarray]) -> Group:
    return Group(layer.name, scores, _removed_units(layer, masks), (layer,), keep_one=True)


def _removed_units(layer: PrunableLayer, masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which units of a layer have lost all of their weights to an earlier step; bool (units,)."""
    axis = unit_axis(layer)
    assert axis is not None  # it has scores of units
    count = layer.kernel.shape[axis]
    if layer.path not in masks:
        return np.zeros(count, dtype=bool)
    return np.logical_not(np.moveaxis(masks[layer.path], axis, -1).reshape(-1, count).any(axis=0))


def _without_units(ctx: ScoringContext) -> dict[str, str]:
    """{layer of the network: reason} for those with kernels inside, whose units are not channels of the graph."""
    kinds = {path: type(layer).__name__ for path, layer in leaf_layers(ctx.model)}
    names = dict.fromkeys(layer.inside for layer in ctx.layers if layer.inside is not None)
    return {name: f"no unit inside of {kinds[name]} can be removed, only single weights can" for name in names}
