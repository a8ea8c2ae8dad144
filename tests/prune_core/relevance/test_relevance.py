"""Relevance: hand-computed and closed forms written independently, conservation, rules layer by layer."""

import logging
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose

from prune_core.errors import UserError
from prune_core.relevance import propagate, register_relevance_rule, rules, unchanged
from prune_core.scores import SCORES, ScoringContext
from prune_core.weights import prunable_layers


def _mlp(widths: tuple[int, ...], *, use_bias: bool, seed: int) -> keras.Model:
    """ReLU network with random weights and biases: widths (inputs, hidden..., outputs)."""
    rng = np.random.default_rng(seed)
    start = x = keras.Input((widths[0],), name="input")
    for i, width in enumerate(widths[1:-1], 1):
        x = layers.Dense(width, activation="relu", use_bias=use_bias, name=f"dense_{i}")(x)
    model = keras.Model(start, layers.Dense(widths[-1], use_bias=use_bias, name="output")(x))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def _closed_form(model: keras.Model, x: np.ndarray, start: str) -> list[np.ndarray]:
    """Per-sample relevance at the input and after every Dense layer of a ReLU network, in float64.

    The source's formula: R below = |y| * ((R / (|y| |W|)) |W|'), with y what the layer takes in.
    """
    kernels, biases = [], []
    for layer in model.layers[1:]:
        weights = [w.astype(np.float64) for w in layer.get_weights()]
        kernels.append(weights[0])
        biases.append(weights[1] if len(weights) == 2 else 0.0)
    activations = [x.astype(np.float64)]
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        z = activations[-1] @ kernel + bias
        activations.append(z if i == len(kernels) - 1 else np.maximum(z, 0))
    output = np.abs(activations[-1]) if start == "output" else np.ones_like(activations[-1])
    relevance = [output / output.sum(axis=1, keepdims=True)]
    for kernel, y in zip(kernels[::-1], activations[-2::-1], strict=True):
        z = np.abs(y) @ np.abs(kernel)
        ratio = np.divide(relevance[0], z, out=np.zeros_like(z), where=z > 0)
        relevance.insert(0, np.abs(y) * (ratio @ np.abs(kernel).T))
    return relevance


def _samples(shape: tuple[int, ...], n: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


def _by_hand() -> keras.Model:
    start = keras.Input((2,), name="input")
    hidden = layers.Dense(3, activation="relu", name="dense_1")(start)
    model = keras.Model(start, layers.Dense(2, name="output")(hidden))
    kernel_1 = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, 2.0]])
    kernel_2 = np.array([[1.0, -1.0], [5.0, 5.0], [0.0, 2.0]])
    model.set_weights([kernel_1, np.zeros(3), kernel_2, np.array([0.0, 4.0])])
    return model


# x = (1, 1): hidden = relu(2, -1, 2) = (2, 0, 2); output = (2, -2 + 4 + 4) = (2, 6).
# All of output 1 is from hidden 1. Of output 2, |2 * -1| = 2 is from hidden 1, |2 * 2| = 4 from hidden 3: 1/3 and 2/3.
# Hidden 1 takes evenly from both inputs, hidden 3 from the second alone.
BY_HAND = {
    # Outputs 1/2, 1/2. Hidden 1/2 + 1/6 = 2/3, 0, 1/3. Inputs 1/3, 1/3 + 1/3.
    "uniform": ([1 / 2, 1 / 2], [2 / 3, 0, 1 / 3], [1 / 3, 2 / 3]),
    # Outputs 1/4, 3/4. Hidden 1/4 + 1/4 = 1/2, 0, 1/2. Inputs 1/4, 1/4 + 1/2.
    "output": ([1 / 4, 3 / 4], [1 / 2, 0, 1 / 2], [1 / 4, 3 / 4]),
}


@pytest.mark.parametrize("start", BY_HAND)
def test_a_network_of_2_3_2_by_hand(start: str) -> None:
    outputs, hidden, inputs = BY_HAND[start]
    relevance = propagate(_by_hand(), np.ones((1, 2), np.float32), start=start)
    assert_allclose(relevance.channels["output"], outputs, rtol=1e-6)
    assert_allclose(relevance.channels["dense_1"], hidden, rtol=1e-6)
    assert_allclose(relevance.inputs, inputs, rtol=1e-6)


def test_relevance_starts_uniformly_unless_the_option_says_otherwise() -> None:
    x = np.ones((1, 2), np.float32)
    for options, start in (({}, "uniform"), ({"start": "uniform"}, "uniform"), ({"start": "output"}, "output")):
        model = _by_hand()
        ctx = ScoringContext(model, prunable_layers(model), "unit", x, None, seed=0, options=options)
        assert_allclose(SCORES.get("importance")(ctx)["dense_1"], BY_HAND[start][1], rtol=1e-6)


@pytest.mark.parametrize("value", ["outputs", None, 1, ["uniform"]])
def test_another_start_is_refused_while_planning(value: Any) -> None:
    with pytest.raises(UserError, match=r"start=.* is not one of its values: .*known: output, uniform"):
        SCORES.get("importance").check("unit", {"start": value})
    with pytest.raises(UserError, match=r"start=.* is not one of its values: .*known: output, uniform"):
        propagate(_by_hand(), np.ones((1, 2), np.float32), start=value)


@pytest.mark.parametrize("start", BY_HAND)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("widths", [(5, 4), (6, 8, 3), (20, 30, 25, 10)])
def test_equals_the_closed_form_on_dense_networks(widths: tuple[int, ...], use_bias: bool, start: str) -> None:
    model = _mlp(widths, use_bias=use_bias, seed=len(widths))
    x = _samples((widths[0],), n=50)
    expected = _closed_form(model, x, start)
    relevance = propagate(model, x, batch_size=16, start=start)
    assert relevance.health < 1e-5
    assert_allclose(relevance.inputs, expected[0].mean(axis=0), rtol=1e-4, atol=1e-7)
    for layer, values in zip(model.layers[1:], expected[1:], strict=True):
        assert_allclose(relevance.channels[layer.name], values.mean(axis=0), rtol=1e-4, atol=1e-7)


def test_negative_inputs_count_by_their_size() -> None:
    model = _mlp((5, 6, 3), use_bias=True, seed=1)
    x = _samples((5,)) - 0.5
    expected = _closed_form(model, x, "uniform")
    assert_allclose(propagate(model, x).inputs, expected[0].mean(axis=0), rtol=1e-4)


def _conv_matrix(kernel: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The matrix (inputs, outputs) of a valid convolution on (size, size, channels), built by loops."""
    k, _, c_in, c_out = kernel.shape
    n = (size - k) // stride + 1
    matrix = np.zeros((size, size, c_in, n, n, c_out))
    for row in range(n):
        for column in range(n):
            for i in range(k):
                for j in range(k):
                    matrix[row * stride + i, column * stride + j, :, row, column, :] = kernel[i, j]
    return matrix.reshape(size * size * c_in, n * n * c_out)


def test_equals_an_explicit_matrix_on_a_strided_convolution() -> None:
    start = keras.Input((7, 7, 2), name="input")
    x = layers.Conv2D(3, 3, strides=2, use_bias=False, activation="relu", name="conv_1")(start)
    conv = keras.Model(start, layers.Dense(4, use_bias=False, name="output")(layers.Flatten(name="flatten")(x)))
    rng = np.random.default_rng(0)
    conv.set_weights([rng.normal(size=w.shape) for w in conv.get_weights()])
    kernel, head = conv.get_weights()
    dense = _mlp((98, 27, 4), use_bias=False, seed=0)  # 7 * 7 * 2 inputs, 3 * 3 positions of 3 filters
    dense.set_weights([_conv_matrix(kernel, size=7, stride=2), head])
    x = _samples((7, 7, 2), n=20)
    expected = _closed_form(dense, x.reshape(20, -1), "uniform")
    relevance = propagate(conv, x)
    assert_allclose(relevance.inputs, expected[0].mean(axis=0).reshape(7, 7, 2), rtol=1e-4, atol=1e-7)
    assert_allclose(relevance.channels["conv_1"], expected[1].mean(axis=0).reshape(9, 3).sum(axis=0), rtol=1e-4)


def _network(*middle: Any, shape: tuple[int, ...] = (8, 8, 3)) -> keras.Model:
    """Input, convolution with positive output, `middle`, flatten, output; random weights from a fixed seed."""
    keras.utils.set_random_seed(0)
    rank = len(shape) - 1
    conv = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[rank]
    start = keras.Input(shape, name="input")
    x = conv(4, 3, activation="sigmoid", name="first")(start)
    for layer in middle:
        x = layer(x)
    return keras.Model(start, layers.Dense(3, name="output")(layers.Flatten(name="flatten")(x)))


# Built inside the test: Keras layers are expensive at collection.
MIDDLES = {
    "conv_same": lambda: [layers.Conv2D(5, 3, padding="same", strides=2, name="c")],
    "conv_dilated": lambda: [layers.Conv2D(5, 2, dilation_rate=2, name="c")],
    "conv_grouped": lambda: [layers.Conv2D(6, 3, groups=2, name="c")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="c")],
    "separable": lambda: [layers.SeparableConv2D(5, 3, name="c")],
    "transpose": lambda: [layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="c")],
    "max_pooling": lambda: [layers.MaxPooling2D(2)],
    "average_pooling": lambda: [layers.AveragePooling2D(2, padding="same")],
    "global_max": lambda: [layers.GlobalMaxPooling2D()],
    "global_average": lambda: [layers.GlobalAveragePooling2D()],
    "padding_then_crop": lambda: [layers.ZeroPadding2D(2), layers.Cropping2D(1)],
    "upsampling": lambda: [layers.UpSampling2D(2)],
    "reshape": lambda: [layers.Reshape((9, 16)), layers.Permute((2, 1))],
    "normalised": lambda: [layers.BatchNormalization(), layers.LayerNormalization(), layers.Dropout(0.5)],
    "activations": lambda: [layers.Activation("tanh"), layers.LeakyReLU(), layers.PReLU(), layers.Softmax()],
    "operations": lambda: [lambda x: x + 1.0, lambda x: 2.0 * x, keras.ops.relu, lambda x: x[:, :4]],
    "added": lambda: [lambda x: x + layers.Conv2D(4, 1, name="c")(x)],
    "merged": lambda: [lambda x: layers.Concatenate()([layers.Average()([x, 2 * x]), layers.Maximum()([x, 0.5 * x])])],
    "gated": lambda: [
        lambda x: layers.Multiply()([x, layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))])
    ],
    "nested": lambda: [
        keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(5, 3, name="c"), layers.Activation("softplus")])
    ],
    "shared": lambda: [layers.Conv2D(4, 1, name="c")] * 2,
    "inputs_twice": lambda: [lambda x: layers.Add()([x, x])],
}


@pytest.mark.parametrize("middle", MIDDLES)
def test_relevance_is_conserved_through(middle: str) -> None:
    model = _network(*MIDDLES[middle]())
    relevance = propagate(model, _samples((8, 8, 3)), batch_size=4)
    # Cropping and slicing leave part of their input without relevance, but lose none.
    assert relevance.health < 1e-5
    assert relevance.lost == {}
    assert_allclose(relevance.inputs.sum(), 1, atol=1e-5)
    assert_allclose(relevance.channels["output"].sum(), 1, atol=1e-5)
    if middle not in ("added", "gated"):  # where "first" is not the only way
        assert_allclose(relevance.channels["first"].sum(), 1, atol=1e-5)
    assert all((values >= 0).all() for values in relevance.channels.values())


def test_one_dimensional_networks_with_causal_convolutions() -> None:
    middle = [layers.Conv1D(4, 3, padding="causal", name="c"), layers.SeparableConv1D(4, 2), layers.MaxPooling1D()]
    assert propagate(_network(*middle, shape=(12, 2)), _samples((12, 2))).health < 1e-5


def test_three_dimensional_networks() -> None:
    model = _network(layers.Conv3D(2, 2, name="c"), layers.AveragePooling3D(1), shape=(5, 5, 5, 1))
    assert propagate(model, _samples((5, 5, 5, 1))).health < 1e-5


def test_the_winner_of_a_maximum_takes_all() -> None:
    start = keras.Input((4, 1), name="input")
    x = layers.Flatten(name="flatten")(layers.MaxPooling1D(2, name="pool")(start))
    output = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="output")(x)
    # Pools (1, 3) and (2, 0) give 3 and 2: shares 3/5 and 2/5 of the one output, each to the winner.
    relevance = propagate(keras.Model(start, output), np.array([[[1.0], [3.0], [2.0], [0.0]]], np.float32))
    assert_allclose(relevance.inputs.ravel(), [0, 0.6, 0.4, 0], rtol=1e-6)


def test_averages_and_sums_share_in_proportion() -> None:
    start = keras.Input((4, 1), name="input")
    pooled = layers.GlobalAveragePooling1D(name="pool")(start)
    relevance = propagate(keras.Model(start, pooled), np.array([[[1.0], [3.0], [-4.0], [2.0]]], np.float32))
    assert_allclose(relevance.inputs.ravel(), [0.1, 0.3, 0.4, 0.2], rtol=1e-6)

    start = keras.Input((4,), name="input")
    total = layers.Subtract(name="minus")([start[:, :2], start[:, 2:]])
    # |1 - 3| + |2 - 8| = 8: relevance 1/4 and 3/4, shared 1 : 3 and 2 : 8.
    relevance = propagate(keras.Model(start, total), np.array([[1.0, 2.0, 3.0, 8.0]], np.float32), start="output")
    assert_allclose(relevance.inputs, [1 / 16, 3 / 20, 3 / 16, 12 / 20], rtol=1e-6)


def test_batch_normalisation_and_dropout_leave_relevance_as_it_is() -> None:
    start = keras.Input((6,), name="input")
    x = layers.BatchNormalization(name="norm")(start)
    model = keras.Model(start, layers.Dropout(0.9, name="dropout")(x))
    x = _samples((6,))
    output = np.abs(model(x, training=False).numpy())
    expected = (output / output.sum(axis=1, keepdims=True)).mean(axis=0)
    assert_allclose(propagate(model, x, start="output").inputs, expected, rtol=1e-5)


@pytest.mark.parametrize("start", BY_HAND)
def test_the_outputs_of_several_heads_are_one_whole(start: str) -> None:
    entry = keras.Input((4, 3), name="input")  # head b answers at four places
    model = keras.Model(entry, [layers.Dense(2, name="a")(entry[:, 0]), layers.Dense(3, name="b")(entry)])
    relevance = propagate(model, _samples((4, 3), n=5), batch_size=2, start=start)
    assert relevance.health < 1e-5
    assert_allclose(relevance.channels["a"].sum() + relevance.channels["b"].sum(), 1, atol=1e-6)
    if start == "uniform":  # 2 and 4 * 3 output elements
        assert_allclose(relevance.channels["a"], [1 / 14] * 2, rtol=1e-5)
        assert_allclose(relevance.channels["b"], [4 / 14] * 3, rtol=1e-5)


def test_batches_make_no_difference() -> None:
    model = _network(*MIDDLES["max_pooling"]())
    x = _samples((8, 8, 3), n=23)
    whole = propagate(model, x, batch_size=23)
    for size in (1, 5, 100):
        part = propagate(model, x, batch_size=size)
        assert_allclose(part.inputs, whole.inputs, rtol=1e-4, atol=1e-8)
        assert_allclose(part.channels["first"], whole.channels["first"], rtol=1e-5)
        assert_allclose(part.health, whole.health, atol=1e-5)


def test_it_is_a_mean_over_samples() -> None:
    model = _mlp((5, 6, 3), use_bias=True, seed=2)
    x = _samples((5,), n=3)
    alone = [propagate(model, x[i : i + 1]).channels["dense_1"] for i in range(3)]
    assert_allclose(propagate(model, x).channels["dense_1"], np.mean(alone, axis=0), rtol=1e-5)


def test_the_same_call_gives_the_same_bits_and_leaves_the_network_alone() -> None:
    model = _network(*MIDDLES["normalised"]())
    before = [w.copy() for w in model.get_weights()]
    x = _samples((8, 8, 3), n=40)
    first = propagate(model, x, batch_size=16)
    propagate(_mlp((5, 6, 3), use_bias=True, seed=2), _samples((5,)))
    again = propagate(model, x, batch_size=16)
    assert first.inputs.tobytes() == again.inputs.tobytes()
    assert all(first.channels[name].tobytes() == again.channels[name].tobytes() for name in first.channels)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_dead_layer_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = _mlp((5, 6, 4, 3), use_bias=True, seed=0)
    kernel, bias = model.get_layer("dense_2").get_weights()
    model.get_layer("dense_2").set_weights([0 * kernel, 0 * bias])
    with caplog.at_level(logging.WARNING):
        relevance = propagate(model, _samples((5,)))
    assert "100.0 % of all relevance ends at 'output'" in caplog.text
    assert relevance.lost == {"output": pytest.approx(1)}
    assert relevance.health == pytest.approx(1)
    assert not relevance.channels["dense_1"].any()
    assert not relevance.inputs.any()


def test_outputs_that_are_all_zero_are_said(caplog: pytest.LogCaptureFixture) -> None:
    model = _mlp((5, 6, 3), use_bias=False, seed=0)
    model.get_layer("output").set_weights([np.zeros((6, 3))])
    with caplog.at_level(logging.WARNING):
        relevance = propagate(model, _samples((5,)), start="output")
    assert relevance.lost == {"outputs": pytest.approx(1)}
    assert np.isfinite(relevance.inputs).all()
    relevance = propagate(model, _samples((5,)))
    assert relevance.lost == {"output": pytest.approx(1)}
    assert_allclose(relevance.channels["output"], [1 / 3] * 3, rtol=1e-6)


def test_a_blank_sample_among_many_stops_at_the_input_only() -> None:
    model = _mlp((5, 6, 3), use_bias=True, seed=0)
    x = _samples((5,), n=200)
    x[17] = 0
    relevance = propagate(model, x)
    assert relevance.health == pytest.approx(1)
    assert relevance.lost == {}  # 0.5 % is not worth a warning
    assert_allclose(relevance.channels["dense_1"].sum(), 1, atol=1e-5)
    assert_allclose(relevance.inputs.sum(), 0.995, atol=1e-5)


class Doubled(keras.layers.Layer):
    """A layer that relevance knows nothing of."""

    def call(self, x: Any) -> Any:
        return 2 * x


def test_a_layer_without_a_rule_is_named_and_can_be_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))
    model = _network(Doubled(name="strange"))
    with pytest.raises(UserError, match=r"'strange' \(Doubled\) has no relevance rule"):
        propagate(model, _samples((8, 8, 3)))
    register_relevance_rule(Doubled, unchanged)
    assert propagate(model, _samples((8, 8, 3))).health < 1e-5


def test_models_it_cannot_read_are_refused() -> None:
    class Subclassed(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UserError, match="has no graph of layers"):
        propagate(Subclassed(), _samples((3,)))
    pair = [keras.Input((3,)), keras.Input((3,))]
    with pytest.raises(UserError, match="has 2 inputs"):
        propagate(keras.Model(pair, layers.Add()(pair)), _samples((3,)))
    with pytest.raises(UserError, match="x has no samples"):
        propagate(_mlp((3, 2), use_bias=True, seed=0), _samples((3,), n=0))


def test_importance_scores_the_units_in_scope_and_keeps_by_products() -> None:
    model = _network(layers.SeparableConv2D(5, 3, name="separable"), layers.DepthwiseConv2D(2, name="depthwise"))
    in_scope = [layer for layer in prunable_layers(model) if not layer.is_output]
    ctx = ScoringContext(model, in_scope, "unit", _samples((8, 8, 3)), None, seed=0)
    scores = SCORES.get("importance")(ctx)
    assert {name: score.shape for name, score in scores.items()} == {"first": (4,), "separable/pointwise_kernel": (5,)}
    assert_allclose([score.sum() for score in scores.values()], 1, atol=1e-5)
    assert ctx.by_products["input_relevance"].shape == (8, 8, 3)
    assert ctx.by_products["relevance_health"] < 1e-5
    assert ctx.by_products["relevance_lost"].tolist() == []


def test_a_nested_layer_is_found_under_its_full_name() -> None:
    inner = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(5, 3, name="c")], name="block")
    model = _network(inner)
    ctx = ScoringContext(model, prunable_layers(model), "unit", _samples((8, 8, 3)), None, seed=0)
    assert SCORES.get("importance")(ctx)["block/c"].shape == (5,)
