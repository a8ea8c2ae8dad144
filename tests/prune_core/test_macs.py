"""Multiply-accumulates against numbers worked out by hand."""

import logging

import keras
import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.macs import count_macs

L = keras.layers


def chain(shape: tuple[int | None, ...], *layers: L.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize(
    ("shape", "layer", "macs"),
    [
        ((4,), L.Dense(3), 4 * 3),
        ((5, 4), L.Dense(3), 5 * 4 * 3),
        ((10, 2), L.Conv1D(3, 4), 7 * (4 * 2 * 3)),
        ((10, 2), L.Conv1D(3, 4, padding="same", strides=2), 5 * (4 * 2 * 3)),
        ((8, 6, 2), L.Conv2D(5, 3), (6 * 4) * (3 * 3 * 2 * 5)),
        ((8, 6, 2), L.Conv2D(5, 3, padding="same"), (8 * 6) * (3 * 3 * 2 * 5)),
        ((8, 6, 4), L.Conv2D(6, 3, groups=2), (6 * 4) * (3 * 3 * 2 * 6)),
        ((9, 9, 2), L.Conv2D(5, 3, dilation_rate=2), (5 * 5) * (3 * 3 * 2 * 5)),
        ((4, 4, 4, 2), L.Conv3D(3, 2), 3**3 * (2**3 * 2 * 3)),
        ((8, 6, 2), L.DepthwiseConv2D(3, depth_multiplier=2), (6 * 4) * (3 * 3 * 2 * 2)),
        ((8, 6, 2), L.SeparableConv2D(5, 3), (6 * 4) * (3 * 3 * 2 + 2 * 5)),
        ((8, 6, 2), L.Conv2DTranspose(5, 3, strides=2), (8 * 6) * (3 * 3 * 2 * 5)),
        ((4, 2), L.Conv1DTranspose(5, 3), 4 * (3 * 2 * 5)),
        ((2, 8, 6), L.Conv2D(5, 3, data_format="channels_first"), (6 * 4) * (3 * 3 * 2 * 5)),
    ],
)
def test_one_layer(shape: tuple[int, ...], layer: L.Layer, macs: int):
    inputs = keras.Input(shape)
    assert count_macs(keras.Model(inputs, layer(inputs))) == macs
    assert count_macs(keras.Model(inputs, layer(inputs)), nonzero_only=True) == macs


def test_zeros_are_left_out_at_every_position_they_are_used_at():
    model = chain((4, 4, 1), L.Conv2D(1, 2, use_bias=False), L.BatchNormalization(), L.Flatten(), L.Dense(2))
    model.layers[0].kernel.assign(np.array([[1.0, 0.0], [0.0, 2.0]])[:, :, None, None])
    model.layers[3].kernel.assign(np.eye(9, 2))
    assert count_macs(model) == 9 * 4 + 18
    assert count_macs(model, nonzero_only=True) == 9 * 2 + 2


def test_every_call_counts():
    inputs = keras.Input((4,))
    dense = L.Dense(4)
    assert count_macs(keras.Model(inputs, dense(dense(inputs)))) == 32
    nested = chain((4,), L.Dense(4), L.Dense(4))
    assert count_macs(keras.Model(inputs, nested(nested(inputs)))) == 64


def test_a_layer_called_on_two_shapes_counts_each():
    conv = L.Conv2D(1, 1)
    small, large = keras.Input((2, 2, 1)), keras.Input((3, 3, 1))
    assert count_macs(keras.Model([small, large], [conv(small), conv(large)])) == 4 + 9


def test_calls_that_do_not_lead_to_an_output_do_not_count():
    inputs = keras.Input((4,))
    hidden = L.Dense(5)(inputs)
    L.Dense(100)(hidden)
    assert count_macs(keras.Model(inputs, hidden)) == 20


def test_published_figure():
    model = keras.applications.MobileNetV2(weights=None, input_shape=(224, 224, 3))
    assert count_macs(model) == pytest.approx(300e6, rel=0.01)  # Sandler et al. 2018, table 4: 300 M


def test_layers_of_other_kinds_are_named_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert count_macs(chain((4, 3), L.LSTM(5, name="memory"), L.Dense(2))) == 10
    assert "memory" in caplog.text


@pytest.mark.parametrize(
    "layer",
    [L.PReLU(), L.PReLU(shared_axes=[1]), L.LayerNormalization(axis=[1, 2]), L.Normalization(axis=[1, 2]),
     L.BatchNormalization(), L.RMSNormalization(axis=[1, 2])],
    ids=lambda layer: layer.name,
)  # fmt: skip
def test_what_meets_each_value_by_itself_is_not_missed(layer: L.Layer, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert count_macs(chain((4, 3), layer, L.Dense(2))) == 4 * 3 * 2
    assert not caplog.text


def test_embeddings_are_looked_up(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert count_macs(chain((4,), L.Embedding(10, 3), L.Dense(2))) == 4 * 3 * 2
    assert not caplog.text


def test_open_shapes_are_refused():
    with pytest.raises(UserError, match="'conv'"):
        count_macs(chain((None, None, 1), L.Conv2D(2, 3, name="conv")))
    nested = chain((None, None, 1), L.Conv2D(2, 3))
    inputs = keras.Input((5, 5, 1))
    with pytest.raises(UserError, match=nested.name):
        count_macs(keras.Model(inputs, nested(inputs)))


def test_models_without_a_graph_are_refused():
    with pytest.raises(UserError, match="no graph"):
        count_macs(keras.Sequential([L.Dense(2)]))
