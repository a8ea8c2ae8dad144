"""Whether two networks of the same layers compute the same, layer by layer."""

from typing import Any

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.graph.layer_outputs import Key, LayerOutputs, Seeds, digest, layer_outputs
from prune_core.network.random_inputs import random_inputs
from prune_core.network.walk import functional_graph

# Largest difference, relative to the greatest value, where operations are not exactly repeatable.
_TOLERANCE = 1e-5


def check_agreement(original: keras.Model, twin: keras.Model, what: str, advice: str) -> None:
    """Compare the outputs of all layers of two networks on random inputs, bit for bit. Neither network is changed.

    A network of open size that takes none of the sizes tried is compared up to the layer that refuses them.

    Args:
        original, twin: functional or Sequential networks of the same layers and weights.
        what: what the twin is, for the message: "the copy".
        advice: what a person can do about a difference.

    Raises:
        UserError: a layer gives other outputs in the twin; the first one is named.
    """
    graph, other = functional_graph(original), functional_graph(twin)
    seeds = list(zip(_seeds(twin), _seeds(original), strict=False))
    batches, expected = _run_original(original, graph)
    for batch, digests in zip(batches, expected, strict=True):
        found = layer_outputs(other, batch, digest, seeds)[0]
        different = [key for key, values in digests.items() if found.get(key) != values]
        if different and (path := _first_difference(graph, other, batch, seeds, different)) is not None:
            raise UserError(f"{what} of {original.name!r} computes something else from {path!r} on: {advice}")


def _first_difference(graph: Any, other: Any, batch: list[Any], seeds: Seeds, keys: list[Key]) -> str | None:
    """The first layer with other bits that always repeats its own bits, or whose values are not close."""
    values, again = (layer_outputs(graph, batch, np.copy)[0] for _ in range(2))
    found = layer_outputs(other, batch, np.copy, seeds)[0]
    for key in keys:
        repeatable = all(map(np.array_equal, values[key], again[key]))
        if repeatable or key not in found or not all(map(_close, values[key], found[key])):
            return key[0]
    return None


def _run_original(model: keras.Model, graph: Any) -> tuple[list[list[Any]], list[LayerOutputs]]:
    """The first of the random inputs on which a network runs to its end, or else those on which it runs farthest."""
    best: tuple[list[list[Any]], list[LayerOutputs]] = ([], [])
    for batches in random_inputs(model):
        runs = [layer_outputs(graph, batch, digest) for batch in batches]
        found = (batches, [outputs for outputs, _ in runs])
        if all(is_whole for _, is_whole in runs):
            return found
        best = max(best, found, key=lambda one: sum(map(len, one[1])))
    return best


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """The states of random numbers, in the order of the layers."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    scale = float(np.abs(one).max(initial=1))
    return bool(np.allclose(one, other, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))
