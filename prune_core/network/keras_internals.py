"""The private names of Keras that this package needs, each behind a function that says why no public name is enough.

They are those of Keras 3.15. No other module of this package uses any, which
tests/prune_core/network/test_keras_internals.py holds: a new version of Keras is checked here, in one file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src import backend
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell as ConvLSTMCell  # only the layers that make it are public
from keras.src.models.functional import Functional as Functional  # only `keras.Model`, which makes it, is public

BOOKKEEPING = frozenset({
    *("_tracker", "_trainable_variables", "_non_trainable_variables", "_layers", "_metrics", "_losses"),
    *("_inbound_nodes", "_outbound_nodes", "_nodes", "_nodes_by_depth", "_operations", "_operations_by_depth"),
})  # fmt: skip
"""Attributes that Keras keeps on each layer and model for its own use: they name no part of it."""


def is_keras_own(operation: object) -> bool:
    """Whether an object is of a class of Keras itself. Only the module of a class tells that."""
    return type(operation).__module__.startswith("keras.src.")


def is_keras_function(operation: object) -> bool:
    """Whether an object is a bare operation of `keras.ops` (`x + y`): their classes are not public."""
    return type(operation).__module__.startswith("keras.src.ops.")


def has_calls(model: keras.Model) -> bool:
    """Whether a model keeps the calls of its graph. A subclassed and a Sequential model do not."""
    return hasattr(model, "_nodes_by_depth")


def calls_of(graph: Any) -> Iterator[Any]:
    """Keras's records of the calls in a functional graph, each after those that it depends on.

    The public `layers` gives each layer once and in another order, without the bare operations.
    """
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def graph_of_sequential(model: keras.Sequential) -> Functional | None:
    """The functional model that a Sequential runs; None before it is built. Its tensors are those of its calls."""
    graph: Functional | None = getattr(model, "_functional", None)
    return graph


def maker_of(tensor: keras.KerasTensor) -> keras.Operation:
    """The operation that made a symbolic tensor. A tensor has no public link to it."""
    return tensor._keras_history.operation


def call_that_made(tensor: keras.KerasTensor) -> Any:
    """Keras's record of the call that made a symbolic tensor; that of an input takes nothing."""
    operation, number, _ = tensor._keras_history
    return operation._inbound_nodes[number]


def forget_calls(operation: keras.Operation) -> None:
    """Make a copied operation forget the calls of the original: it would keep them alive and count as theirs."""
    operation._inbound_nodes, operation._outbound_nodes = [], []


def pack_inputs(graph: Functional, values: list[Any]) -> Any:
    """Values of a graph's inputs in the structure (list, dict) that it is called with; `inputs` is always flat."""
    return keras.tree.pack_sequence_as(graph._inputs_struct, values)


def pack_outputs(graph: Functional, values: list[Any]) -> Any:
    """Values of a graph's outputs in the structure (list, dict) that it answers with; `outputs` is always flat."""
    return keras.tree.pack_sequence_as(graph._outputs_struct, values)


def mask_of(tensor: Any) -> Any:
    """The mask that Keras has attached to a tensor, or None. Outside of a layer's call it is found nowhere else."""
    return backend.get_keras_mask(tensor)


def attach_mask(tensor: Any, mask: Any) -> None:
    """Attach a mask to a tensor, as a layer that makes masks does it for the layers after it."""
    backend.set_keras_mask(tensor, mask)


def layers_within(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it, however deep. Only models have public `layers`."""
    return list(layer._flatten_layers())


def parts_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers directly inside a layer or model, also outside of a graph. Only models have public `layers`."""
    return list(layer._layers)


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights that a layer itself owns; the public `weights` has those of the layers inside it as well."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def put_weight(layer: keras.layers.Layer, attribute: str, weight: keras.Variable, instead_of: Any = None) -> None:
    """Set a weight of a built layer, which Keras has locked against it.

    Args:
        layer: of which `attribute` is set.
        attribute: name.
        weight: of another layer.
        instead_of: a weight that the layer no longer owns.
    """
    is_locked = layer._tracker.locked
    layer._tracker.unlock()
    if instead_of is not None:
        layer._untrack_variable(instead_of)
    setattr(layer, attribute, weight)
    if is_locked:
        layer._tracker.lock()


@contextmanager
def computing_in(layers: list[keras.layers.Layer], dtype: str) -> Iterator[None]:
    """Let layers compute in a type, with weights of their own types, for the time of the `with`.

    The public setter of `dtype_policy` would write into a map of policies that layers share, and no public policy
    computes in one type with weights of any other.
    """
    policies = [layer._dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer._dtype_policy = _Computing(dtype, layer.variable_dtype)
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer._dtype_policy = policy


class _Computing(keras.DTypePolicy):
    """Computes in one type with weights of another; a layer then casts the weights that it reads."""

    def __init__(self, compute_dtype: str, variable_dtype: str) -> None:
        super().__init__(variable_dtype)
        self._compute_dtype = compute_dtype


def projection(layer: keras.layers.Layer, name: str) -> keras.layers.Layer | None:
    """The layer of an attention layer that makes its "query", "key", "value", "gate" or "output", if it has one."""
    part: keras.layers.Layer | None = getattr(layer, f"_{name}_dense", None)
    return part


def given_output_shape(layer: keras.layers.Lambda) -> Any:
    """The argument `output_shape` of a Lambda layer; its config has it in a form that would have to be decoded."""
    return layer._output_shape


def causal_padding(layer: keras.layers.Conv1D) -> Any:
    """What a causal convolution pads its input by, as in `keras.ops.pad`."""
    return layer._compute_causal_padding()
