"""A network unrolled: its operations in the order of inference, with the tensors that go in and out of each."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.network.calls import attach_masks, data_tensors, mask_of, nodes_in_order, with_mask


@dataclass(frozen=True)
class Step:
    """One use of one operation in an inference pass (a layer that is used twice makes two steps).

    Attributes:
        name: name of the layer or operation, with the names of the models it is nested in: "block/conv".
        operation: the Keras layer or bare operation.
        inputs: its input tensors, first axis the batch; masks are not among them.
        output: its output tensor.
        run: calls the operation again on other input tensors, in inference mode and with the same masks.
    """

    name: str
    operation: keras.Operation
    inputs: list[tf.Tensor]
    output: tf.Tensor
    run: Callable[[Sequence[tf.Tensor]], tf.Tensor]


def unroll(model: keras.Model, inputs: Sequence[tf.Tensor], prefix: str = "") -> tuple[list[Step], list[tf.Tensor]]:
    """Run a functional or Sequential model on `inputs` in inference mode, nested models included.

    Returns:
        Its steps, each after those it depends on, and its output tensors.

    Raises:
        UserError: a model without a graph (subclassed), or an operation with several outputs.
    """
    graph = as_graph(model)
    values = {id(symbol): tensor for symbol, tensor in zip(graph.inputs, inputs, strict=True)}
    steps: list[Step] = []
    for node in nodes_in_order(graph):
        operation, symbols = node.operation, data_tensors(node)
        arrived = [values[id(symbol)] for symbol in symbols]
        name = f"{prefix}{operation.name}"
        if isinstance(operation, keras.Model):
            attach_masks(operation, arrived, *node.arguments.fill_in(values))
            inner, outputs = unroll(operation, arrived, f"{name}/")
            steps += inner
        else:
            if len(node.outputs) != 1:
                raise UserError(
                    f"layer {name!r} has {len(node.outputs)} outputs: relevance needs layers with one output"
                )
            run = _runner(node, symbols, values)
            output = run(arrived)
            # The identity gives a layer that hands its input on as it is (dropout) an output of its own.
            outputs = [with_mask(tf.identity(output), mask_of(output))]
            steps.append(Step(name, operation, arrived, outputs[0], run))
        values.update({id(symbol): tensor for symbol, tensor in zip(node.outputs, outputs, strict=True)})
    return steps, [values[id(symbol)] for symbol in graph.outputs]


def as_graph(model: keras.Model) -> keras.Model:
    """`model` with a graph of operations: itself, or the functional model that a Sequential stands for."""
    if hasattr(model, "_nodes_by_depth"):
        return model
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs)
    raise UserError(f"model {model.name!r} has no graph of layers: make it a functional or a built Sequential model")


def _runner(
    node: Any, symbols: Sequence[keras.KerasTensor], values: Mapping[int, tf.Tensor]
) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    operation = node.operation
    takes_training = isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters
    mode = {"training": False} if takes_training else {}

    def run(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        given = {
            id(symbol): with_mask(tensor, mask_of(values[id(symbol)]))
            for symbol, tensor in zip(symbols, tensors, strict=True)
        }
        args, kwargs = node.arguments.fill_in({**values, **given})
        return operation(*args, **{**kwargs, **mode})

    return run
