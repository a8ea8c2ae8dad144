"""The two functions on a bare layer, on matrices whose answer can be read off."""

import keras
import numpy as np
import pytest

import prune_core
from prune_core.errors import UserError

KERNEL = [[3.0, -1.0, 0.5], [-4.0, 2.0, 0.25]]  # column norms 5, sqrt(5), 0.56


def dense(kernel=KERNEL, bias=(7.0, 8.0, 9.0)) -> keras.layers.Dense:
    layer = keras.layers.Dense(len(kernel[0]), use_bias=bias is not None)
    layer.build((None, len(kernel)))
    layer.set_weights([np.array(kernel, np.float32), *([np.array(bias, np.float32)] if bias is not None else [])])
    return layer


def test_the_k_smallest_weights_become_zero():
    layer = dense()
    kept = prune_core.prune_weights(layer, 3)
    assert kept.tolist() == [[True, False, False], [True, True, False]]
    assert layer.kernel.numpy().tolist() == [[3.0, 0.0, 0.0], [-4.0, 2.0, 0.0]]
    assert layer.bias.numpy().tolist() == [7.0, 8.0, 9.0]


def test_the_k_smallest_columns_become_zero_with_their_bias():
    layer = dense()
    assert prune_core.prune_units(layer, 2).tolist() == [True, False, False]
    assert layer.kernel.numpy().tolist() == [[3.0, 0.0, 0.0], [-4.0, 0.0, 0.0]]
    assert layer.bias.numpy().tolist() == [7.0, 0.0, 0.0]


def test_ties_go_in_order():
    layer = dense([[1.0, -1.0], [1.0, 1.0]], bias=None)
    assert prune_core.prune_weights(layer, 2).tolist() == [[False, False], [True, True]]
    assert prune_core.prune_units(dense([[1.0, -1.0], [1.0, 1.0]], bias=None), 1).tolist() == [False, True]


@pytest.mark.parametrize(("k", "left"), [(0, 6), (6, 0)])
def test_none_and_all(k: int, left: int):
    layer = dense()
    assert prune_core.prune_weights(layer, np.int64(k)).sum() == np.count_nonzero(layer.kernel.numpy()) == left


def test_filters_of_convolutions_are_units():
    for layer, axis in (keras.layers.Conv2D(4, 3), -1), (keras.layers.Conv2DTranspose(4, 3), -2):
        layer.build((None, 8, 8, 2))
        norms = np.linalg.norm(np.moveaxis(layer.kernel.numpy(), axis, -1).reshape(-1, 4), axis=0)
        kept = prune_core.prune_units(layer, 2)
        assert sorted(np.flatnonzero(~kept)) == sorted(np.argsort(norms)[:2])
        zeroed = np.moveaxis(layer.kernel.numpy(), axis, -1)[..., ~kept]
        assert not zeroed.any()
        assert np.count_nonzero(layer.kernel.numpy()) == 2 * 18


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: prune_core.prune_weights(dense(), 7), "k=7 must be a whole number from 0 to 6"),
        (lambda: prune_core.prune_units(dense(), -1), "k=-1 must be a whole number from 0 to 3"),
        (lambda: prune_core.prune_units(dense(), 0.5), "k=0.5 must be a whole number"),
        (lambda: prune_core.prune_weights(keras.layers.Dense(3), 1), "has no weights yet"),
        (lambda: prune_core.prune_weights(keras.layers.Flatten(), 1), "has 0 kernels|has no weights yet"),
        (lambda: prune_core.prune_weights([[1.0]], 1), "not a single Keras layer"),
        (lambda: prune_core.prune_weights(dense([[np.nan, 1.0]], bias=None), 1), "not finite"),
    ],
)
def test_mistakes_are_one_sentence(call, sentence: str):
    with pytest.raises(UserError, match=sentence):
        call()


def test_a_depthwise_kernel_has_no_units():
    layer = keras.layers.DepthwiseConv2D(3)
    layer.build((None, 8, 8, 2))
    with pytest.raises(UserError, match="no units of its own: use prune_weights"):
        prune_core.prune_units(layer, 1)
    assert (~prune_core.prune_weights(layer, 5)).sum() == 5
