"""What every layer of a network gives on a sample."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from prune_core.network.walk import GraphStep, run_graph

Key = tuple[str, int]
"""(path of a layer, number of its call)"""
LayerOutputs = dict[Key, list[Any]]
"""What is kept of the outputs of each layer, in topological order."""
Seeds = Sequence[tuple[keras.Variable, keras.Variable]]
"""Pairs of a random state and one whose value it takes for a run."""


def layer_outputs(
    graph: Any,
    batch: Sequence[Any],
    keep: Callable[[np.ndarray], Any],
    seeds: Seeds = (),
) -> tuple[LayerOutputs, bool]:
    """All outputs except masks, in inference mode, up to a layer that fails; whether none failed. Nothing is changed.

    Args:
        graph: from `functional_graph`.
        batch: one tensor for each input.
        keep: what is to be kept of an output: `digest` needs almost no memory.
        seeds: of random numbers.
    """
    outputs: LayerOutputs = {}
    calls: Counter[str] = Counter()

    def visit(step: GraphStep) -> list[Any]:
        args, kwargs = step.arguments()
        if "training" in kwargs:
            kwargs = {**kwargs, "training": False}
        values: list[Any] = keras.tree.flatten(step.operation(*args, **kwargs))
        if not step.is_for_masks:  # Keras makes these by itself, under another name in every network
            calls[step.path] += 1
            outputs[step.path, calls[step.path]] = [keep(np.asarray(keras.ops.convert_to_numpy(v))) for v in values]
        return values

    # What a run assigns (states of recurrent layers, of random numbers) is forgotten after the scope.
    with keras.device("cpu:0"), keras.StatelessScope(state_mapping=[(one, other.value) for one, other in seeds]):
        try:
            run_graph(graph, batch, visit)
        except Exception:  # whatever an operation raises on a size or a value that it does not take
            return outputs, False
    return outputs, True


def digest(output: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """Equal for two outputs if and only if they are equal to the last bit."""
    return str(output.dtype), output.shape, hashlib.blake2b(output.tobytes()).digest()
