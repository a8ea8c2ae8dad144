"""Shapes carried through a Keras graph: what its layers see if it is called on samples of a certain size."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.network.walk import GraphStep, graph_of, run_graph

Shape = tuple[int | None, ...]
Visit = Callable[[keras.Operation, Shape, Shape], None]


def carry_shapes(
    graph: Any, shapes: Sequence[Shape], visit: Visit = lambda operation, given, made: None
) -> list[Shape]:
    """Carry shapes from a graph's inputs to its outputs, into nested models too. The graph stays as it is.

    Where shapes are those that the graph was built with, its tensors know them; elsewhere Keras works them out.

    Args:
        graph: a functional model.
        shapes: one for each of its inputs, with the batch axis; None for an axis of any length.
        visit: called for every call of an operation that is not a model, in topological order, with the shapes of its
            first input and output.

    Returns:
        One shape for each of its outputs.

    Raises:
        UserError: a layer cannot take the shape that arrives.
    """

    def shapes_of(step: GraphStep) -> list[Shape]:
        inner = graph_of(step.operation)
        if inner is not None and len(inner.inputs) == len(step.inputs):
            return carry_shapes(inner, step.inputs, visit)
        as_built = all(tensor.shape == step.values[id(tensor)] for tensor in step.node.input_tensors)
        made = [tensor.shape for tensor in step.outputs] if as_built else _made(step)
        visit(step.operation, step.inputs[0] if step.inputs else (), made[0])
        return made

    return run_graph(graph, [tuple(shape) for shape in shapes], shapes_of, enter=False)


def _made(step: GraphStep) -> list[Shape]:
    """Shapes of the outputs of one call on inputs of other shapes than it was built with."""
    given = {id(tensor): keras.KerasTensor(step.values[id(tensor)], tensor.dtype) for tensor in step.node.input_tensors}
    args, kwargs = step.node.arguments.fill_in(given)
    try:
        outputs = step.operation.compute_output_spec(*args, **kwargs)
    except (ValueError, TypeError) as error:  # what Keras and TensorFlow raise for a size that does not fit
        shapes = " and ".join(str(tensor.shape[1:]) for tensor in given.values())
        reason = " ".join(str(error).split())
        raise UserError(f"layer {step.operation.name!r} cannot take an input of shape {shapes}: {reason}") from error
    return [tensor.shape for tensor in keras.tree.flatten(outputs)]
