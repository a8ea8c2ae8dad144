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

    Args:
        original, twin: functional or Sequential networks of the same layers and weights.
        what: what the twin is, for the message: "the copy".
        advice: what a person can do about a difference.

    Raises:
        UserError: a layer gives other outputs in the twin; the first one is named. Or the original runs on no sample.
    """
    graph, other = functional_graph(original), functional_graph(twin)
    seeds = list(zip(_seeds(twin), _seeds(original), strict=False))
    samples, expected = _run_original(original, graph)
    for sample, outputs in zip(samples, expected, strict=True):
        found = _run(other, sample, seeds)
        different = [key for key, values in outputs.items() if not _same(values, found.get(key, []))]
        if not different:
            continue
        again = _run(graph, sample, [])
        for path, number in different:
            key = (path, number)
            exact = _same(outputs[key], again[key])
            if exact or not _close(outputs[key], found.get(key, [])):
                raise UserError(f"{what} of {original.name!r} computes something else from layer {path!r} on: {advice}")


def _run_original(model: keras.Model, graph: Any) -> tuple[tuple[list[Any], ...], list[_Outputs]]:
    """The first of the random inputs that a network runs on, and all outputs."""
    reason = ""
    for samples in random_inputs(model, graph):
        try:
            return samples, [_run(graph, sample, []) for sample in samples]
        except Exception as error:  # whatever an operation raises on a size or a value that it does not take
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise UserError(f"{model.name!r} does not run on random samples, so that no copy of it can be checked: {reason}")


def _run(graph: Any, sample: Sequence[Any], seeds: Sequence[tuple[keras.Variable, keras.Variable]]) -> _Outputs:
    """All outputs in inference mode; `seeds` are pairs of a random state and one whose value it takes for this run."""
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
        run_graph(graph, sample, visit)
    return outputs


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
