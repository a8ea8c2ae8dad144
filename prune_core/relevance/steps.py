"""A network unrolled: its operations in the order of inference, with the tensors that go in and out of each."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.network.calls import attach_masks, with_mask
from prune_core.network.keras_internals import has_calls, mask_of
from prune_core.network.walk import GraphStep, run_graph


@dataclass(frozen=True)
class RelevanceStep:
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


def unroll(
    model: keras.Model, inputs: Sequence[tf.Tensor], prefix: str = ""
) -> tuple[list[RelevanceStep], list[tf.Tensor]]:
    """Run a functional or Sequential model on `inputs` in inference mode, nested models included.

    Returns:
        Its steps, each after those it depends on, and its output tensors.

    Raises:
        UserError: a model without a graph (subclassed), or an operation with several outputs.
    """
    steps: list[RelevanceStep] = []

    def visit(step: GraphStep) -> Sequence[tf.Tensor]:
        if isinstance(step.operation, keras.Model):
            attach_masks(step.operation, step.inputs, *step.arguments())
            inner, outputs = unroll(step.operation, step.inputs, f"{step.path}/")
            steps.extend(inner)
            return outputs
        if len(step.outputs) != 1:
            raise UserError(
                f"layer {step.path!r} has {len(step.outputs)} outputs: relevance needs layers with one output"
            )
        run = _runner(step)
        output = run(step.inputs)
        # The identity gives a layer that hands its input on as it is (dropout) an output of its own.
        output = with_mask(tf.identity(output), mask_of(output))
        steps.append(RelevanceStep(step.path, step.operation, step.inputs, output, run))
        return [output]

    outputs = run_graph(as_graph(model), inputs, visit, prefix=prefix, enter=False)
    return steps, outputs


def as_graph(model: keras.Model) -> keras.Model:
    """`model` with a graph of operations: itself, or the functional model that a Sequential stands for."""
    if has_calls(model):
        return model
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs)
    raise UserError(f"model {model.name!r} has no graph of layers: make it a functional or a built Sequential model")


def _runner(step: GraphStep) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    operation = step.operation
    takes_training = isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters
    mode = {"training": False} if takes_training else {}
    values = {id(symbol): step.values[id(symbol)] for symbol in step.node.input_tensors}  # the walk releases them

    def run(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        given = {
            id(symbol): with_mask(tensor, mask_of(values[id(symbol)]))
            for symbol, tensor in zip(step.tensors, tensors, strict=True)
        }
        args, kwargs = step.node.arguments.fill_in({**values, **given})
        return operation(*args, **{**kwargs, **mode})

    return run
