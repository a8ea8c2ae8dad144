"""Rounding neither hides a difference nor makes one: networks are compared with each other in float64."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from prune_core.graph import ShrinkError, Traced, register_rule, shrink
from prune_core.graph.exact import run_exactly
from prune_core.graph.rule import Link
from prune_core.graph.rules import linear_layer
from prune_core.masks import apply_masks
from prune_core.network.walk import run_graph
from tests.helpers.networks import randomize


def averaged(size: tuple[int, ...], filters: int, *middle: Any, dtype: str = "float32") -> keras.Model:
    """A convolution, what lies in the middle, a mean over all places, an output; half of the filters zero."""
    one_axis = len(size) == 1
    model = keras.Sequential([
        keras.Input((*size, 2)),
        (layers.Conv1D if one_axis else layers.Conv2D)(filters, 3, name="conv", dtype=dtype),
        *middle,
        (layers.GlobalAveragePooling1D if one_axis else layers.GlobalAveragePooling2D)(dtype=dtype),
        layers.Dense(3, name="output", dtype=dtype),
    ])  # fmt: skip
    randomize(model, 1)
    drop(model, "conv", range(0, filters, 2))
    return model


def drop(model: keras.Model, name: str, units: Any) -> None:
    kernel = model.get_layer(name).kernel
    mask = np.ones(kernel.shape, dtype=bool)
    mask[..., list(units)] = False
    apply_masks(model, {f"{name}/kernel": mask})


@pytest.mark.parametrize(
    ("size", "filters"),
    [
        ((64, 64), 20), ((128, 128), 8), ((4096,), 8), ((50_000,), 4),
        *(pytest.param((224, 224), n, marks=pytest.mark.slow) for n in (8, 20, 33)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("after", ["relu", "sigmoid"])
def test_a_mean_over_many_places_is_no_difference(size: tuple[int, ...], filters: int, after: str) -> None:
    """In float32 the two networks differ by up to 2e-4: means of 4 and of 8 channels are added up in another order."""
    keras.utils.set_random_seed(3)
    model = averaged(size, filters, layers.Activation(after), layers.BatchNormalization())
    result = shrink(model)
    assert result.kept["conv"].tolist() == list(range(1, filters, 2))
    assert result.max_difference < 1e-6


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"])
def test_the_same_holds_in_other_types(dtype: str) -> None:
    keras.utils.set_random_seed(3)
    model = averaged((48, 48), 8, layers.Activation("softplus", dtype=dtype), dtype=dtype)
    result = shrink(model)
    assert result.kept["conv"].tolist() == [1, 3, 5, 7]
    assert result.folded == {"output": 4}
    assert result.max_difference < {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 1e-6)
    assert [weight.dtype for weight in result.model.weights] == [weight.dtype for weight in model.weights]


CONSTANT_AFTER: dict[str, Callable[[Any], Any]] = {
    "mean": lambda x: keras.ops.mean(x, axis=(1, 2)),
    "sum": lambda x: keras.ops.sum(x, axis=(1, 2)) * 0.001,
    "average pooling": lambda x: layers.Flatten()(layers.AveragePooling2D(8)(x)),
    "padded average pooling": lambda x: layers.Flatten()(layers.AveragePooling2D(9, padding="same")(x)),
    "enlarged": lambda x: layers.GlobalAveragePooling2D()(layers.UpSampling2D(3, interpolation="bilinear")(x)),
    "normalized": lambda x: layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x)),
    "residual": lambda x: layers.GlobalAveragePooling2D()(layers.Add()([x, layers.Activation("tanh")(x)])),
    "twice": lambda x: keras.ops.mean(layers.Activation("gelu")(keras.ops.mean(x, axis=1)), axis=1),
    "two layers": lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="sigmoid", name="next")(x)),
}


@pytest.mark.parametrize("after", CONSTANT_AFTER)
def test_a_constant_stays_one_on_its_way(after: str) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 48, 2))
    x = layers.Conv2D(6, 3, activation="sigmoid", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="output")(CONSTANT_AFTER[after](x)))
    randomize(model, 0)
    drop(model, "conv", [0, 2, 3])
    if after == "two layers":
        drop(model, "next", [1])
    result = shrink(model)
    assert result.kept["conv"].tolist() == [1, 4, 5]
    assert len(result.kept.get("next", range(5))) == 5
    assert result.max_difference < 1e-6


def test_what_padding_does_to_a_constant_is_not_taken_for_rounding() -> None:
    """The two zeros that a depthwise 3 x 3 meets at each border change 1 place in 100, by 1e-4 of the constant."""
    inputs = keras.Input((100, 1, 2))
    x = layers.Conv2D(3, 1, activation="sigmoid", name="conv")(inputs)
    x = layers.DepthwiseConv2D((3, 1), padding="same", name="depthwise")(x)
    x = layers.Conv2D(2, 1, activation="relu", name="valid")(x)
    model = keras.Model(inputs, layers.Dense(2, name="output")(layers.GlobalAveragePooling2D()(x)))
    randomize(model, 0)
    drop(model, "conv", [1])
    model.get_layer("depthwise").kernel.assign(np.tile(np.array([1e-4, 1, 1e-4]).reshape(3, 1, 1, 1), (1, 1, 3, 1)))
    assert shrink(model).kept["conv"].tolist() == [0, 1, 2]
    model.get_layer("depthwise").kernel.assign(np.tile(np.array([0, 1, 0]).reshape(3, 1, 1, 1), (1, 1, 3, 1)))
    assert shrink(model).kept["conv"].tolist() == [0, 2]


def test_zero_in_the_networks_own_type_meets_padding_as_zero() -> None:
    """The approximate gelu of -6 is 0 in float32, as 1 + tanh(-12.5) is, and -8e-11 in float64."""
    inputs = keras.Input((5, 5, 1))
    x = keras.ops.gelu(layers.Conv2D(3, 3, name="conv")(inputs), approximate=True)
    x = layers.Flatten()(layers.Conv2D(2, 3, padding="same", name="padded")(x))
    model = keras.Model(inputs, layers.Dense(2, name="output")(x))
    randomize(model, 0)
    drop(model, "conv", [1])
    model.get_layer("conv").bias.assign([0.1, -6, 0.2])
    result = shrink(model)
    assert result.kept["conv"].tolist() == [0, 2]
    assert result.folded == {}


@keras.saving.register_keras_serializable("test_exact")
class SlightlyOff(layers.Layer):
    """Depends on the number of channels by 1e-4 of its input, while its rule says that it takes each by itself."""

    def call(self, x):
        return x * (1 + 1e-4 * x.shape[-1])


def test_a_wrong_rule_is_found_behind_a_long_mean() -> None:
    """One channel of eight makes 1e-4, which rounding of float32 reaches at this size."""
    register_rule(SlightlyOff)(lambda call: Traced([call.inputs[0]]))
    model = averaged((128, 128), 8, layers.ReLU(), layers.BatchNormalization(), SlightlyOff())
    model.get_layer("output").kernel.assign(np.full((8, 3), 0.5))
    with pytest.raises(ShrinkError, match=r"differs from the original by \d\.\de-04 of scale \(at most 1e-05\)"):
        shrink(model)


@keras.saving.register_keras_serializable("test_exact")
class OnlySingle(layers.Layer):
    """Takes float32 and nothing else."""

    def call(self, x):
        assert x.dtype == tf.float32
        return x + tf.constant(1.0, tf.float32)


def test_a_layer_that_cannot_run_in_float64_runs_as_it_can_and_that_is_counted() -> None:
    register_rule(OnlySingle)(lambda call: Traced([call.inputs[0]]))
    model = averaged((48, 48), 8, layers.ReLU(), OnlySingle(), layers.BatchNormalization())
    policies = [layer.dtype_policy for layer in model._flatten_layers()]
    x = np.random.default_rng(0).random((2, 48, 48, 2), dtype=np.float32)
    run = run_exactly(keras.Model(model.inputs, model.outputs), [x])
    assert [layer.dtype_policy for layer in model._flatten_layers()] == policies
    assert run.outputs[0].dtype == np.float64
    np.testing.assert_allclose(run.outputs[0], model(x), rtol=1e-4)
    assert run.rounding == np.finfo(np.float32).eps  # each output of that layer has one input
    assert shrink(model).kept["conv"].tolist() == [1, 3, 5, 7]


def test_masks_of_time_steps_reach_the_layers_that_heed_them() -> None:
    inputs = keras.Input((6, 4), dtype="float16")
    x = layers.LSTM(5, return_sequences=True)(layers.Masking()(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float16")
    x[:, 3:] = 0
    np.testing.assert_allclose(run_exactly(model, [x]).outputs[0], model(x), atol=1e-6)
    assert not np.allclose(model(x), model(x + np.float16(0.01)), atol=1e-3)


def test_what_a_stateful_layer_carries_on_stays_what_it_was() -> None:
    model = keras.Sequential([
        keras.Input(batch_shape=(2, 5, 3)),
        layers.LSTM(4, stateful=True, name="lstm"),
        layers.Dense(6, activation="relu", name="hidden"),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    drop(model, "hidden", [1, 2])
    model(np.ones((2, 5, 3), np.float32))
    before = [np.array(state) for state in model.get_layer("lstm").states]
    result = shrink(model)
    assert result.kept["hidden"].tolist() == [0, 3, 4, 5]
    assert all((np.array(a) == b).all() for a, b in zip(model.get_layer("lstm").states, before, strict=True))


def test_values_are_let_go_when_nothing_needs_them_any_more() -> None:
    inputs = keras.Input((2,))
    x = inputs
    for _ in range(9):
        x = layers.Dense(2)(x)
    held = []
    run_graph(keras.Model(inputs, x), [1], lambda step: [held.append(len(step.values)) or step.inputs[0] + 1])
    assert max(held) == 1


def test_half_precision_excuses_nothing() -> None:
    register_rule(SlightlyOff)(lambda call: Traced([call.inputs[0]]))
    model = averaged((16, 16), 8, SlightlyOff(dtype="bfloat16"), dtype="bfloat16")
    model.get_layer("output").kernel.assign(np.full((8, 3), 5))
    with pytest.raises(ShrinkError, match="at most 1e-05"):
        shrink(model)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_folded_constant_is_as_exact_as_a_bias_can_be(dtype: str) -> None:
    """The unit's 1000 ends in the bias and a normalization by 1000 takes it away: what a bias is rounded by remains."""
    model = keras.Sequential([
        keras.Input((3,)),
        layers.Dense(2, name="hidden", dtype=dtype),
        layers.Dense(2, name="next", dtype=dtype),
        layers.BatchNormalization(epsilon=1e-6, name="bn"),
        layers.Dense(1, name="output"),
    ])  # fmt: skip
    model.get_layer("hidden").set_weights([np.array([[1.0, 0], [1, 0], [1, 0]]), np.array([0, 1000.3])])
    model.get_layer("next").set_weights([np.array([[1e-3, 1e-3], [1, 1]]), np.array([0.0, 0.1])])
    model.get_layer("bn").set_weights([np.ones(2), np.zeros(2), np.array([1000.3, 1000.4]), np.full(2, 1e-6)])
    result = shrink(model)
    assert result.kept["hidden"].tolist() == [0]
    exact = float(model.get_layer("hidden").bias[1])
    assert result.model.get_layer("next").bias.numpy()[0] == np.asarray(exact, dtype)
    assert result.max_difference > 1e-5 or dtype == "float16"


def test_a_wrong_constant_is_no_rounding() -> None:
    """A rule that says that a layer's kernel lets through 0.1 % more than it does."""

    def link(layer: Any) -> Link:
        kernel = np.array(layer.kernel)
        return Link(kernel != 0, 1.001 * kernel)

    register_rule(Doubtful)(lambda call: linear_layer(call, "units", link))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "sigmoid", name="hidden"), Doubtful(3, name="next"), layers.Dense(2)]
    )
    drop(model, "hidden", [1])
    with pytest.raises(ShrinkError, match=r"by \d\.\de-04 of scale"):
        shrink(model)


@keras.saving.register_keras_serializable("test_exact")
class Doubtful(layers.Dense):
    """Dense, with a rule of its own."""
