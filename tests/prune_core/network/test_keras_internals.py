"""Keras's private names: only one module uses them, and each does in this version of Keras what its text says."""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import prune_core
from prune_core.network import keras_internals as internals

SOURCES = Path(prune_core.__file__).parent
OWN = ("self", "cls")
OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields"}


def private_names(source: str) -> set[str]:
    """Imports from `keras.src`, and private attributes of anything but the object itself and classes of this module."""
    nodes = list(ast.walk(ast.parse(source)))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)} | OF_NAMED_TUPLES
    found: set[object] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src"):
            found.add(node.module or "")
        elif isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in OWN):
            found.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            found |= {part.value for part in node.args if isinstance(part, ast.Constant)}
    return {
        name for name in set(map(str, found)) - own if name.startswith(("_", "keras.src")) and not name.endswith("__")
    }


def test_no_other_module_uses_a_private_name() -> None:
    others = [path for path in SOURCES.rglob("*.py") if path != Path(internals.__file__)]
    found = {path.relative_to(SOURCES).as_posix(): private_names(path.read_text()) for path in others}
    assert len(found) > 90
    assert {path: names for path, names in found.items() if names} == {}


def test_private_names_are_seen() -> None:
    text = "from keras.src import backend\na._b\nself._c\ngetattr(a, '_d', None)\na.__class__\n"
    assert private_names(text) == {"keras.src", "_b", "_d"}
    assert private_names(Path(internals.__file__).read_text()) >= {"_nodes_by_depth", "_keras_history", "_functional"}


@pytest.fixture
def model() -> keras.Model:
    start = keras.Input((4,), name="start")
    hidden = layers.Dense(3, name="dense")(start)
    return keras.Model({"start": start}, {"out": layers.Dense(2, name="out")(hidden) + 1.0})


def test_calls_and_makers(model: keras.Model) -> None:
    nodes = list(internals.calls_of(model))
    assert [node.operation.name for node in nodes[:2]] == ["dense", "out"]
    assert [internals.is_keras_function(node.operation) for node in nodes] == [False, False, True]
    assert all(internals.is_keras_own(node.operation) for node in nodes)
    assert internals.maker_of(model.outputs[0]) is nodes[2].operation
    assert internals.call_that_made(nodes[1].outputs[0]) is nodes[1]
    assert internals.call_that_made(model.inputs[0]).is_input
    internals.forget_calls(nodes[0].operation)
    assert nodes[0].operation(keras.Input((4,))) is not None
    assert internals.call_that_made(internals.maker_of(nodes[0].outputs[0]).output) is not nodes[0]


def test_graphs_and_their_structures(model: keras.Model) -> None:
    sequential = keras.Sequential([layers.Dense(2)])
    assert not internals.has_calls(sequential)
    assert internals.has_calls(model)
    assert isinstance(model, internals.Functional)
    assert internals.graph_of_sequential(sequential) is None
    sequential.build((None, 4))
    assert isinstance(internals.graph_of_sequential(sequential), internals.Functional)
    assert internals.pack_inputs(model, [1]) == {"start": 1}
    assert internals.pack_outputs(model, [2]) == {"out": 2}


def test_masks() -> None:
    tensor, mask = keras.ops.zeros((1, 2)), keras.ops.ones((1, 2), "bool")
    assert internals.mask_of(tensor) is None
    internals.attach_mask(tensor, mask)
    assert internals.mask_of(tensor) is mask
    assert internals.mask_of(layers.Embedding(3, 2, mask_zero=True)(np.array([[0, 1]]))).numpy().tolist() == [[0, 1]]


def test_parts_and_weights() -> None:
    wrapper = layers.TimeDistributed(layers.Dense(2, name="inner"))
    wrapper.build((None, 3, 4))
    assert [part.name for part in internals.parts_of(wrapper)] == ["inner"]
    assert internals.layers_within(wrapper) == [wrapper, wrapper.layer]
    assert internals.own_weights(wrapper) == []
    assert internals.own_weights(wrapper.layer) == wrapper.layer.weights
    assert set(internals.BOOKKEEPING) & set(vars(wrapper)) >= {"_tracker", "_layers", "_inbound_nodes"}


@pytest.mark.parametrize("keeps_own", [True, False])
def test_a_weight_of_another_layer(keeps_own: bool) -> None:
    one, other = layers.Dense(2), layers.Dense(2)
    for layer in (one, other):
        layer.build((None, 3))
    own = other.bias
    internals.put_weight(other, "bias", one.bias, instead_of=None if keeps_own else own)
    assert other.bias is one.bias
    assert any(weight is own for weight in other.weights) is keeps_own
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        other.more = keras.Variable(np.zeros(1))


def test_computing_in_another_type() -> None:
    layer = layers.Dense(2)
    layer.build((None, 3))
    policy = layer.dtype_policy
    with internals.computing_in([layer], "float64"):
        assert layer(keras.ops.zeros((1, 3), "float64")).dtype == "float64"
        assert layer.kernel.dtype == "float32"
    assert layer.dtype_policy is policy
    assert layer(keras.ops.zeros((1, 3))).dtype == "float32"


def test_names_of_single_layers() -> None:
    attention = layers.MultiHeadAttention(2, 3)
    attention(np.zeros((1, 4, 5)), np.zeros((1, 4, 5)))
    found = {name: internals.projection(attention, name) for name in ("query", "key", "value", "gate", "output")}
    assert {name for name, part in found.items() if isinstance(part, layers.EinsumDense)} == set(found) - {"gate"}
    assert internals.given_output_shape(layers.Lambda(lambda x: x, output_shape=(7,))) == (7,)
    assert internals.causal_padding(layers.Conv1D(1, 3, padding="causal"))[1] == [2, 0]
    assert isinstance(layers.ConvLSTM2D(1, 1).cell, internals.ConvLSTMCell)
