"""The table of layers with kernels holds for Keras's layers, and a layer of a user's can join it."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from prune_core.kernels import KERNEL_ATTRIBUTES, KERNEL_KINDS
from prune_core.measure import count_macs, register_macs_rule
from prune_core.models.keras_archive import read_archive
from prune_core.models.keras_kernels import stored_kernels
from prune_core.weights import kernel_attributes, prunable_layers

# Of each class: a layer with 3 outputs, the shape of its sample (2 channels), its multiply-accumulates by hand.
EXAMPLES = {
    "Dense": (layers.Dense(3), (5, 2), 5 * 2 * 3),
    "EinsumDense": (layers.EinsumDense("abc,cd->abd", (None, 3)), (5, 2), 5 * 2 * 3),
    "Conv1D": (layers.Conv1D(3, 2), (5, 2), 4 * 2 * 2 * 3),
    "Conv2D": (layers.Conv2D(3, 2), (5, 4, 2), 4 * 3 * 4 * 2 * 3),
    "Conv3D": (layers.Conv3D(3, 2), (3, 3, 3, 2), 8 * 8 * 2 * 3),
    "Conv1DTranspose": (layers.Conv1DTranspose(3, 2), (5, 2), 5 * 2 * 2 * 3),
    "Conv2DTranspose": (layers.Conv2DTranspose(3, 2), (5, 4, 2), 5 * 4 * 4 * 2 * 3),
    "Conv3DTranspose": (layers.Conv3DTranspose(3, 2), (3, 3, 3, 2), 27 * 8 * 2 * 3),
    "DepthwiseConv1D": (layers.DepthwiseConv1D(2), (5, 2), 4 * 2 * 2),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(2), (5, 4, 2), 4 * 3 * 4 * 2),
    "SeparableConv1D": (layers.SeparableConv1D(3, 2), (5, 2), 4 * (2 * 2 + 2 * 3)),
    "SeparableConv2D": (layers.SeparableConv2D(3, 2), (5, 4, 2), 4 * 3 * (4 * 2 + 2 * 3)),
    "LSTMCell": (layers.LSTM(3), (5, 2), 5 * 4 * (2 * 3 + 3 * 3)),
    "GRUCell": (layers.GRU(3), (5, 2), 5 * 3 * (2 * 3 + 3 * 3)),
    "SimpleRNNCell": (layers.SimpleRNN(3), (5, 2), 5 * (2 * 3 + 3 * 3)),
    "ConvLSTMCell": (layers.ConvLSTM1D(3, 2, padding="same"), (5, 4, 2), 5 * 4 * 4 * 2 * (2 * 3 + 3 * 3)),
}


@pytest.mark.parametrize("name", KERNEL_KINDS)
def test_all_who_read_the_table_agree_on_a_kind(name: str, tmp_path: Path) -> None:
    layer, shape, macs = EXAMPLES[name]
    model = keras.Sequential([keras.Input(shape), type(layer).from_config(layer.get_config())])
    kernels = prunable_layers(model)
    owner = kernels[0].layer
    assert type(owner).__name__ == name
    assert set(kernel_attributes(owner)) == set(KERNEL_KINDS[name].kernels)
    assert count_macs(model) == macs
    model.save(tmp_path / "network.keras")
    archive = read_archive(tmp_path / "network.keras")
    stored = [kernel for layer in stored_kernels(archive.config, archive.sizes) for kernel in layer]
    assert [(kernel.name, kernel.size) for kernel in stored] == [
        (kernel.name, kernel.kernel.numpy().size) for kernel in kernels
    ]


def test_the_order_of_a_layers_kernels_is_that_of_the_table() -> None:
    for kind in KERNEL_KINDS.values():
        assert [name for name in KERNEL_ATTRIBUTES if name in kind.kernels] == list(kind.kernels)


class Mixing(keras.layers.Layer):
    """Each vector times a matrix."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.matmul(inputs, self.kernel)


class MixingTwice(Mixing):
    pass


def test_a_layer_of_a_users_is_counted_by_its_rule(caplog: pytest.LogCaptureFixture) -> None:
    model = keras.Sequential([keras.Input((5, 2)), Mixing(name="mixing"), MixingTwice(name="twice")])
    with caplog.at_level(logging.WARNING):
        assert count_macs(model) == 0
    assert [record.args[0] for record in caplog.records if record.args] == ["mixing", "twice"]
    register_macs_rule(Mixing, lambda layer, given, made: made[1:-1])
    assert count_macs(model) == 5 * 2 * 3 + 5 * 3 * 3
    register_macs_rule(MixingTwice, lambda layer, given, made: (2, *made[1:-1]))
    assert count_macs(model) == 5 * 2 * 3 + 2 * 5 * 3 * 3
    model.layers[0].kernel.assign(np.zeros((2, 3)))
    assert count_macs(model, nonzero_only=True) == 2 * 5 * 3 * 3
