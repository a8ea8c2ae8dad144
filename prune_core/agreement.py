"""Whether two networks of the same layers compute the same, layer by layer."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.graph.classes import functional_graph
from prune_core.graph.walk import Step, run_graph
from prune_core.random_inputs import random_inputs

# What a network whose operations are not exactly repeatable may differ by, of its greatest value.
_TOLERANCE = 1e-5

_Outputs = dict[tuple[str, int], list[np.ndarray]]
"""{(path of a layer, number of its call): its outputs}, in topological order."""


def check_agreement(original: keras.Model, twin: keras.Model, what: str, advice: str) -> None:
    """Compare the outputs of all layers of two networks on random inputs, bit for bit. Neither network is changed.

    A network of open size that takes none of the sizes tried is compared up to the layer that does not take them.

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
    for batch, outputs in zip(batches, expected, strict=True):
        found = _run(other, batch, seeds)[0]
        different = [key for key, values in outputs.items() if not _same(values, found.get(key, []))]
        again = _run(graph, batch, [])[0] if different else {}
        for key in different:
            is_repeatable = _same(outputs[key], again[key])
            if is_repeatable or not _close(outputs[key], found.get(key, [])):
                raise UserError(f"{what} of {original.name!r} computes something else from {key[0]!r} on: {advice}")


def _run_original(model: keras.Model, graph: Any) -> tuple[list[list[Any]], list[_Outputs]]:
    """The first of the random inputs that a network runs on to its end, or else those that come farthest."""
    best: tuple[list[list[Any]], list[_Outputs]] = ([], [])
    for batches in random_inputs(model):
        runs = [_run(graph, batch, []) for batch in batches]
        found = (batches, [outputs for outputs, _ in runs])
        if all(is_whole for _, is_whole in runs):
            return found
        best = max(best, found, key=lambda one: sum(map(len, one[1])))
    return best


def _run(
    graph: Any, batch: Sequence[Any], seeds: Sequence[tuple[keras.Variable, keras.Variable]]
) -> tuple[_Outputs, bool]:
    """All outputs in inference mode up to a layer that fails, and whether none did.

    `seeds` are pairs of a random state and one whose value it takes for this run.
    """
    outputs: _Outputs = {}
    calls: Counter[str] = Counter()

    def visit(step: Step) -> list[Any]:
        args, kwargs = step.arguments()
        if "training" in kwargs:
            kwargs = {**kwargs, "training": False}
        values = keras.tree.flatten(step.operation(*args, **kwargs))
        calls[step.path] += 1
        outputs[step.path, calls[step.path]] = [np.asarray(keras.ops.convert_to_numpy(value)) for value in values]
        return values

    # What a run assigns (states of recurrent layers, of random numbers) is forgotten behind the scope.
    with keras.device("cpu:0"), keras.StatelessScope(state_mapping=[(one, other.value) for one, other in seeds]):
        try:
            run_graph(graph, batch, visit)
        except Exception:  # whatever an operation raises on a size or a value that it does not take
            return outputs, False
    return outputs, True


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """The states of random numbers, in the order of the layers."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _same(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(some, others, strict=True)
    )


def _close(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(
        one.shape == other.shape
        and np.allclose(one, other, rtol=0, atol=_TOLERANCE * float(np.abs(one).max(initial=1)), equal_nan=True)
        for one, other in zip(some, others, strict=True)
    )
