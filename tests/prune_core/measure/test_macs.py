"""Multiply-accumulates against numbers worked out by hand."""

import logging

import keras
import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.measure import OpenSize, count_macs

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


class Bilinear(L.Layer):
    """Multiplies with a matrix under a name that only this layer uses."""

    def build(self, shape):
        self.form = self.add_weight(shape=(shape[-1], shape[-1]), name="form")

    def call(self, x):
        return keras.ops.sum(x * keras.ops.matmul(x, self.form), axis=-1)


def test_layers_of_other_kinds_are_named_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert count_macs(chain((4, 3), Bilinear(name="form_of_two"), L.Dense(2))) == 8
    assert "form_of_two" in caplog.text


def test_an_open_size_is_refused_unless_a_sample_tells_it():
    model = chain((None, None, 1), L.Conv2D(2, 3, name="conv"), L.GlobalAveragePooling2D(), L.Dense(4))
    with pytest.raises(OpenSize, match=r"'conv' .* give the shape of a sample"):
        count_macs(model)
    assert count_macs(model, sample_shape=(5, 6, 1)) == (3 * 4) * (3 * 3 * 2) + 2 * 4
    for wrong in ((5, 6), (5, 6, 3)):
        with pytest.raises(UserError, match=r"takes samples of shape \(None, None, 1\), not \(5, 6"):
            count_macs(model, sample_shape=wrong)
    with pytest.raises(UserError, match=r"'conv' cannot take an input of shape \(2, 6, 1\)"):
        count_macs(model, sample_shape=(2, 6, 1))


@pytest.mark.parametrize(
    ("shape", "sample", "layers", "macs"),
    [
        ((None, 3), (10, 3), (L.Conv1D(2, 4, strides=2), L.GlobalMaxPooling1D()), 4 * (4 * 3 * 2)),
        ((None, 3), (10, 3), (L.Dense(5), L.Flatten()), 10 * 3 * 5),
        ((None, 3), (10, 3), (L.LSTM(5, return_sequences=True), L.Dense(2)), 10 * (8 * 20 + 5 * 2)),
        ((None,), (7,), (L.Embedding(9, 4), L.Conv1D(2, 3)), 5 * (3 * 4 * 2)),
        ((None, 6, 2), (8, 6, 2), (L.Conv2DTranspose(5, 3, strides=2), L.Conv2D(1, 3)), 8 * 6 * 90 + 15 * 11 * 45),
        ((None, 4), (6, 4), (L.Reshape((-1, 2)), L.Dense(3)), 12 * 2 * 3),
    ],
)
def test_a_sample_closes_every_kind_of_open_size(shape, sample, layers, macs: int):
    open_ended = chain(shape, *layers)
    assert count_macs(open_ended, sample_shape=sample) == macs
    inputs = keras.Input(sample)
    outer = keras.Model(inputs, open_ended(inputs))  # of a fixed size, with a network of open size in it
    assert count_macs(outer) == macs
    assert count_macs(keras.Model(open_ended.inputs, open_ended(open_ended.inputs)), sample_shape=sample) == macs


def test_counting_leaves_the_network_as_it_is():
    model = chain((None, 3), L.Conv1D(2, 4), L.GlobalMaxPooling1D(), L.Dense(2))
    count_macs(model, sample_shape=(10, 3))
    assert [len(layer._inbound_nodes) for layer in model.layers] == [1, 1, 1]
    assert model.layers[0].output.shape == (None, None, 2)


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


def test_models_without_a_graph_are_refused():
    with pytest.raises(UserError, match="no graph"):
        count_macs(keras.Sequential([L.Dense(2)]))
