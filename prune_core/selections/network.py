"""From scores to masks: which weights or units of a network go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.graph import channel_classes, unit_masks
from prune_core.measure import Stopwatch
from prune_core.scores import SCORES, ScoringContext, along_units
from prune_core.selections.rules import select
from prune_core.spec import MethodSpec
from prune_core.weights import PrunableLayer, leaf_layers, prunable_layers

Masks = dict[str, np.ndarray]
"""{weight path: bool array of the weight's shape}, True where the weight is kept."""


def scope(model: keras.Model, prune_output: bool) -> list[PrunableLayer]:
    """The layers that a method may prune: all with a kernel; those that make the output only if asked."""
    return [layer for layer in prunable_layers(model) if prune_output or not layer.is_output]


def whole(layers: list[PrunableLayer]) -> Masks:
    """Masks that keep everything."""
    return {layer.path: np.ones(tuple(layer.kernel.shape), bool) for layer in layers}


def score_and_select(spec: MethodSpec, context: ScoringContext, watch: Stopwatch) -> tuple[Masks, dict[str, str]]:
    """Masks of a one-shot method on the network of `context`, and {layer: reason} for what had to stay whole.

    `watch` counts its two steps, score and select.

    Raises:
        UserError: an unknown score, one that does not fit the granularity, scores that are not numbers, or another
            number of sparsities than of layers.
    """
    chosen = _Selector.of(spec, context.layers)
    units_only = [layer for layer in context.layers if layer.inside is None]
    with watch.step("score"):
        scores = SCORES.get(spec.score)(replace(context, layers=units_only) if spec.granularity == "unit" else context)
    with watch.step("select"):
        if spec.granularity == "unit":
            return _unit_masks(chosen, context, scores)
        owner = {path: layer.name for layer in context.layers for path in (layer.path, layer.bias_path) if path}
        return {path: chosen.keep(score, path, [owner[path]]) for path, score in scores.items()}, {}


@dataclass(frozen=True)
class _Selector:
    """The rule of a method, and what it is told for each layer."""

    spec: MethodSpec
    sparsity: Mapping[str, float]

    @classmethod
    def of(cls, spec: MethodSpec, layers: Sequence[PrunableLayer]) -> "_Selector":
        if spec.sparsity is None:
            return cls(spec, {})
        names = [layer.name for layer in layers]
        given = spec.sparsity if isinstance(spec.sparsity, tuple) else (spec.sparsity,) * len(names)
        if len(given) != len(names):
            raise UserError(
                f"sparsity has {len(given)} fractions, but the network has {len(names)} layers to prune "
                f"({', '.join(names)}): give one a layer"
            )
        return cls(spec, dict(zip(names, given, strict=True)))

    def keep(self, scores: np.ndarray, name: str, layers: Sequence[str], *, keep_one: bool = False) -> np.ndarray:
        """Which of the scores of `layers`, one or those that lose their units together, stay."""
        return select(
            self.spec.selection,
            scores,
            sparsity=max((self.sparsity[layer] for layer in layers if layer in self.sparsity), default=None),
            threshold=self.spec.threshold,
            keep_one=keep_one,
            name=name,
        )


def _unit_masks(
    chosen: _Selector, context: ScoringContext, scores: Mapping[str, np.ndarray]
) -> tuple[Masks, dict[str, str]]:
    """Units are selected by channel class: what a residual connection couples is scored, kept and removed together."""
    classes = channel_classes(context.model)
    outputs = [layer for layer in context.layers if layer.is_output and layer.name in scores]
    inner = {name: score for name, score in scores.items() if name not in {layer.name for layer in outputs}}
    removed: set[int] = set()
    for component in classes.components():
        units = {name: classes.units[name] for name in component.layers if name in inner}
        free = component.classes[~classes.pinned[component.classes]]
        if units and len(free):
            removed.update(_removed_classes(chosen, free, units, inner))
    masks = {**whole(context.layers), **unit_masks(context.model, classes, removed)}
    for layer in outputs:  # its units are the network's outputs: silenced if asked, never removed
        keep = chosen.keep(scores[layer.name], layer.name, [layer.name], keep_one=True)
        masks[layer.path] = masks[layer.path] & along_units(layer, keep)  # a kernel without units has no score
        if layer.bias_path:
            masks[layer.bias_path] = keep
    whole_layers = {name: why for name, why in classes.pinned_reasons.items() if name in inner}
    return masks, whole_layers | _without_units(context)


def _without_units(context: ScoringContext) -> dict[str, str]:
    """{layer of the network: reason} for those with kernels inside, whose units are no channels of the graph."""
    kinds = {path: type(layer).__name__ for path, layer in leaf_layers(context.model)}
    names = dict.fromkeys(layer.inside for layer in context.layers if layer.inside is not None)
    return {name: f"no unit inside of {kinds[name]} can be removed, only single weights can" for name in names}


def _removed_classes(
    chosen: _Selector, free: np.ndarray, units: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]
) -> list[int]:
    """The classes out of `free` (sorted ids) that go; `units` says to which class each unit of each layer belongs."""
    totals = np.zeros(len(free))
    positions = {}
    for name, ids in units.items():
        movable = np.isin(ids, free)
        positions[name] = np.searchsorted(free, ids[movable])
        np.add.at(totals, positions[name], scores[name][movable])
    keep = chosen.keep(totals, " + ".join(units), list(units), keep_one=True)
    for name, own in positions.items():  # layers of one component may own different classes: none may end up empty
        if len(own) == len(units[name]) and not keep[own].any():
            keep[own[np.argmax(totals[own])]] = True
    return free[~keep].tolist()
