"""Shapes carried through a Keras graph: what its layers see if it is called on samples of a certain size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.graph.walk import graph_of
from prune_core.network.calls import data_tensors, nodes_in_order

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
    known = {id(tensor): tuple(shape) for tensor, shape in zip(graph.inputs, shapes, strict=True)}
    for node in nodes_in_order(graph):
        tensors = data_tensors(node)
        arrived = [known[id(tensor)] for tensor in tensors]
        inner = graph_of(node.operation)
        if inner is not None and len(inner.inputs) == len(arrived):
            made = carry_shapes(inner, arrived, visit)
        else:
            as_built = all(tensor.shape == known[id(tensor)] for tensor in node.input_tensors)
            made = [tensor.shape for tensor in node.outputs] if as_built else _made(node, known)
            visit(node.operation, arrived[0] if arrived else (), made[0])
        known.update((id(tensor), shape) for tensor, shape in zip(node.outputs, made, strict=True))
    return [known[id(tensor)] for tensor in graph.outputs]


def _made(node: Any, known: Mapping[int, Shape]) -> list[Shape]:
    """Shapes of the outputs of one call on inputs of other shapes than it was built with."""
    given = {id(tensor): keras.KerasTensor(known[id(tensor)], tensor.dtype) for tensor in node.input_tensors}
    args, kwargs = node.arguments.fill_in(given)
    try:
        outputs = node.operation.compute_output_spec(*args, **kwargs)
    except (ValueError, TypeError) as error:  # what Keras and TensorFlow raise for a size that does not go
        shapes = " and ".join(str(tensor.shape[1:]) for tensor in given.values())
        reason = " ".join(str(error).split())
        raise UserError(f"layer {node.operation.name!r} cannot take an input of shape {shapes}: {reason}") from error
    return [tensor.shape for tensor in keras.tree.flatten(outputs)]
