"""From scores to masks: which weights or units of a network go."""

from collections.abc import Mapping

import keras
import numpy as np

from prune_core.graph import channel_classes, unit_masks
from prune_core.scores import SCORES, ScoringContext
from prune_core.selection import select
from prune_core.spec import MethodSpec
from prune_core.weights import PrunableLayer, prunable_layers

Masks = dict[str, np.ndarray]
"""{weight path: bool array of the weight's shape}, True where the weight is kept."""


def scope(model: keras.Model, prune_output: bool) -> list[PrunableLayer]:
    """The layers that a method may prune: all with a kernel; those that make the output only if asked."""
    return [layer for layer in prunable_layers(model) if prune_output or not layer.is_output]


def whole(layers: list[PrunableLayer]) -> Masks:
    """Masks that keep everything."""
    return {layer.path: np.ones(tuple(layer.kernel.shape), bool) for layer in layers}


def score_and_select(spec: MethodSpec, context: ScoringContext) -> tuple[Masks, dict[str, str]]:
    """Masks of a one-shot method on the network of `context`, and {layer: reason} for what had to stay whole.

    Raises:
        UserError: an unknown score, one that does not fit the granularity, or scores that are not numbers.
    """
    scores = SCORES.get(spec.score)(context)
    if spec.granularity == "unit":
        return _unit_masks(spec, context, scores)
    return {path: _keep(spec, score, keep_one=False) for path, score in scores.items()}, {}


def _keep(spec: MethodSpec, scores: np.ndarray, *, keep_one: bool) -> np.ndarray:
    return select(spec.selection, scores, sparsity=spec.sparsity, threshold=spec.threshold, keep_one=keep_one)


def _unit_masks(
    spec: MethodSpec, context: ScoringContext, scores: Mapping[str, np.ndarray]
) -> tuple[Masks, dict[str, str]]:
    """Units are selected by channel class: what a residual connection couples is summed up, kept or removed together."""
    classes = channel_classes(context.model)
    outputs = {layer.name for layer in context.layers if layer.is_output}
    removed: set[int] = set()
    for component in classes.components():
        members = [name for name in component.layers if name in scores and name not in outputs]
        free = [int(c) for c in component.classes if not classes.pinned[c]]
        if not members or not free:
            continue
        position = {c: i for i, c in enumerate(free)}
        totals = np.zeros(len(free))
        for name in members:
            for unit, score in zip(classes.units[name], scores[name], strict=True):
                if unit in position:
                    totals[position[unit]] += score
        keep = _keep(spec, totals, keep_one=True)
        for name in members:  # layers of one component may own different classes: none may end up empty
            own = [position[c] for c in classes.units[name] if c in position]
            if len(own) == len(classes.units[name]) and not keep[own].any():
                keep[max(own, key=lambda i: totals[i])] = True
        removed.update(c for c, kept in zip(free, keep, strict=True) if not kept)
    masks = {**whole(context.layers), **unit_masks(context.model, classes, removed)}
    in_scope = {layer.path for layer in context.layers} | {layer.bias_path for layer in context.layers}
    for layer in context.layers:
        if layer.is_output and layer.name in scores:
            keep = _keep(spec, scores[layer.name], keep_one=True)
            masks[layer.path] = np.broadcast_to(keep, tuple(layer.kernel.shape)).copy()
            if layer.bias_path:
                masks[layer.bias_path] = keep
    kept_whole = {name: why for name, why in classes.pinned_reasons.items() if name in scores and name not in outputs}
    out_of_scope = {layer.path for layer in prunable_layers(context.model)} - in_scope
    return {path: mask for path, mask in masks.items() if path not in out_of_scope}, kept_whole
