"""Run a network in float64, whatever it computes in, so that rounding does not hide what a change of its graph does.

Float32 sums over many positions are rounded differently when the number of channels changes: a global mean over 224 x
224 positions by up to 2e-4 of its value, which is more than many a true difference.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import ml_dtypes
import numpy as np

from prune_core.network.calls import with_mask
from prune_core.network.keras_internals import computing_in, layers_within, mask_of
from prune_core.network.walk import GraphStep, run_graph


@dataclass(frozen=True)
class ExactRun:
    """What a network answers.

    Attributes:
        outputs: one array for each output of the graph; float64 where it is a float.
        rounding: greatest relative error of any single step that cannot run in float64; 0 if all steps can.
    """

    outputs: list[np.ndarray]
    rounding: float


def run_exactly(
    graph: Any,
    inputs: Sequence[Any],
    look: Callable[[GraphStep], None] = lambda step: None,
    biases: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> ExactRun:
    """Run a graph at inference with every step in float64 that is able to; its layers are the same before and after.

    Some kernels exist for float32 alone, and a user's layers may ask for a type of their own. Such a step runs in the
    best type that it takes, and the answer says how large its rounding error may be.

    Args:
        graph: a functional model.
        inputs: one tensor or array for each of its inputs.
        look: called with each step, before it runs, with `step.inputs` in float64.
        biases: {id of a layer: float64 (units,)} of layers that are to compute as if their biases were not rounded.
    """
    rounding = 0.0

    def visit(step: GraphStep) -> list[Any]:
        nonlocal rounding
        look(step)
        with _bias(step.operation, biases.get(id(step.operation))):
            outputs = _best_outputs(step)
        rounding = max([rounding, *(_rounding(step, output) for output in outputs)])
        return [_in_type(output, "float64") for output in outputs]

    tensors = [_in_type(keras.ops.convert_to_tensor(value), "float64") for value in inputs]
    with _without_past(graph):
        outputs = run_graph(graph, tensors, visit)
    return ExactRun([keras.ops.convert_to_numpy(output) for output in outputs], rounding)


def run_as_it_is(graph: Any, inputs: Sequence[Any], look: Callable[[GraphStep], None]) -> None:
    """Run a graph at inference in its own types; `look` is called with each step before it runs."""

    def visit(step: GraphStep) -> list[Any]:
        look(step)
        return _outputs(step)

    with _without_past(graph):
        run_graph(graph, inputs, visit)


def _best_outputs(step: GraphStep) -> list[Any]:
    """The step's outputs in float64 or, where that fails, in the next best type, and at last in the layer's own."""
    for dtype in ("float64", "float32"):
        try:
            with _computing_in(step.operation, dtype):
                return _outputs(step, dtype)
        except Exception:  # a backend or a user's layer may raise anything for a type that it does not know
            continue
    return _outputs(step, getattr(step.operation, "compute_dtype", None) or keras.config.floatx())


def _outputs(step: GraphStep, dtype: str | None = None) -> list[Any]:
    """What the step's call gives at inference, with its floating inputs cast to `dtype` if there is one."""
    args, kwargs = step.arguments()
    if "training" in kwargs:
        kwargs = {**kwargs, "training": False}
    if dtype is not None:
        args, kwargs = keras.tree.map_structure(
            lambda value: _in_type(value, dtype) if keras.ops.is_tensor(value) else value, (args, kwargs)
        )
    outputs: list[Any] = keras.tree.flatten(step.operation(*args, **kwargs))
    return outputs


@contextmanager
def _computing_in(operation: Any, dtype: str) -> Iterator[None]:
    """Lets a layer and all that it consists of compute in a type, for the time of the `with`."""
    layers = layers_within(operation) if isinstance(operation, keras.layers.Layer) else []
    able = [layer for layer in layers if "float" in layer.compute_dtype and layer.quantization_mode is None]
    with computing_in(able, dtype):
        yield


@contextmanager
def _without_past(graph: Any) -> Iterator[None]:
    """Stateful recurrent layers start without state in the `with`; afterwards they have the state of before."""
    kept = [
        (state, keras.ops.convert_to_numpy(state))
        for layer in layers_within(graph)
        for state in keras.tree.flatten(getattr(layer, "states", None))
        if isinstance(state, keras.Variable)
    ]
    for state, value in kept:
        state.assign(np.zeros_like(value))
    try:
        yield
    finally:
        for state, value in kept:
            state.assign(value)


@contextmanager
def _bias(operation: Any, exact: np.ndarray | None) -> Iterator[None]:
    """Lets a layer have another bias for the time of the `with`: a tensor, which no variable of its type could hold."""
    attributes = vars(operation)  # a built layer refuses new tensors
    stored = attributes.get("bias")
    if exact is None or stored is None:
        yield
        return
    attributes["bias"] = keras.ops.convert_to_tensor(exact, dtype="float64")
    try:
        yield
    finally:
        attributes["bias"] = stored


def _in_type(value: Any, dtype: str) -> Any:
    """A tensor cast if it is a float of another type, with its mask."""
    given = keras.backend.standardize_dtype(value.dtype)
    if given == dtype or "float" not in given:
        return value
    return with_mask(keras.ops.cast(value, dtype), mask_of(value))


def _rounding(step: GraphStep, output: Any) -> float:
    """Bound of the relative error of a mean, in the output's type, over as many inputs as there are for each output."""
    dtype = keras.backend.standardize_dtype(output.dtype)
    if dtype == "float64" or "float" not in dtype:
        return 0.0
    size = sum(math.prod(value.shape) for value in step.inputs)
    epsilon = float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]
    return epsilon * max(1.0, float(size / max(1, math.prod(output.shape))))
