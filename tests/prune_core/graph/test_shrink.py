"""Silent units go exactly: constants are folded or kept, the rest of the network stays what it was."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from prune_core.errors import UserError
from prune_core.graph import ShrinkError, Traced, register_rule, shrink
from tests.helpers.networks import agree, mlp, randomize, silence


@settings(max_examples=8, deadline=None)
@given(
    activation=st.sampled_from(["linear", "relu", "sigmoid", "softplus", "tanh", "silu", "hard_sigmoid"]),
    normalized=st.booleans(),
    biased=st.booleans(),
    dead=st.sets(st.integers(0, 4), max_size=5),
    seed=st.integers(0, 99),
)
def test_constants_of_dead_units_move_into_the_next_bias(
    activation: str, normalized: bool, biased: bool, dead: set[int], seed: int
) -> None:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input((5, 5, 2)),
        layers.Conv2D(5, 2, name="conv"),
        *([layers.BatchNormalization(name="bn")] if normalized else []),
        layers.Activation(activation),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, 2, use_bias=biased, name="valid"),
        layers.Flatten(),
        layers.Dense(3, name="output"),
    ])  # fmt: skip
    randomize(model, seed)
    conv = model.get_layer("conv")
    conv.kernel.assign(conv.kernel.numpy() * [unit not in dead for unit in range(5)])
    result = shrink(model)
    assert len(result.kept["conv"]) == max(1, 5 - len(dead))
    assert result.model.get_layer("valid").kernel.shape[2] == len(result.kept["conv"])
    agree(model, result.model)


def test_a_network_small_enough_to_check_by_hand() -> None:
    """h = relu(x [[1, 0, 2], [1, 0, 0]] + (0, 3, 0)), y = h (1, 10, 100) + 5: the middle unit is always 3."""
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(3, activation="relu", name="hidden"), layers.Dense(1, name="output")]
    )
    model.set_weights([
        np.array([[1.0, 0, 2], [1, 0, 0]]), np.array([0.0, 3, 0]), np.array([[1.0], [10], [100]]), np.array([5.0]),
    ])  # fmt: skip
    result = shrink(model)
    hidden, output = result.model.get_layer("hidden"), result.model.get_layer("output")
    assert result.kept["hidden"].tolist() == [0, 2]
    assert hidden.kernel.numpy().tolist() == [[1, 2], [1, 0]]
    assert hidden.bias.numpy().tolist() == [0, 0]
    assert output.kernel.numpy().tolist() == [[1], [100]]
    assert output.bias.numpy().tolist() == [35]
    assert result.folded == {"output": 1}
    assert np.array(result.model(np.array([[1.0, 2.0]]))).tolist() == [[3 + 100 * 2 + 35]]


def test_parameters_are_counted_as_they_should_be() -> None:
    """784-1000-1000-500-200-10 with biases, half of the hidden units gone."""
    sizes = (784, 1000, 1000, 500, 200, 10)
    hidden = [layers.Dense(n, activation="relu", name=f"dense_{i}") for i, n in enumerate(sizes[1:-1])]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, name="output")])
    for layer in hidden:
        layer.kernel.assign(layer.kernel.numpy() * (np.arange(layer.units) % 2))
    assert model.count_params() == 2_388_710
    # 785 * 500 + 501 * 500 + 501 * 250 + 251 * 100 + 101 * 10
    assert shrink(model).model.count_params() == 794_360


def test_a_constant_that_meets_zero_padding_is_kept_and_reported() -> None:
    model = keras.Sequential([
        keras.Input((5, 5, 1)),
        layers.Conv2D(3, 3, padding="same", activation="sigmoid", name="conv"),
        layers.Conv2D(2, 3, padding="same", name="padded"),
        layers.Flatten(),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    conv = model.get_layer("conv")
    conv.kernel.assign(conv.kernel.numpy() * [1, 0, 1])
    result = shrink(model)
    assert result.kept["conv"].tolist() == [0, 1, 2]
    assert "cannot be folded into the bias of 'padded'" in result.pinned["conv"]
    conv.bias.assign([0, -200, 0])  # the sigmoid of -200 is 0 in float32: no constant left to fold
    assert shrink(model).kept["conv"].tolist() == [0, 2]


def test_a_constant_uneven_by_padding_is_folded_where_every_place_has_its_own_weight() -> None:
    model = keras.Sequential([
        keras.Input((4, 4, 2)),
        layers.Conv2D(3, 1, activation="sigmoid", name="conv"),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.Flatten(),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    randomize(model, 0)
    conv = model.get_layer("conv")
    conv.kernel.assign(conv.kernel.numpy() * [1, 0, 1])
    result = shrink(model)
    assert result.kept["conv"].tolist() == [0, 2]
    assert result.folded == {"output": 16}
    agree(model, result.model)


def test_units_that_nobody_uses_go_and_so_do_those_that_only_they_used() -> None:
    keras.utils.set_random_seed(0)
    model = mlp()
    randomize(model, 0)
    middle, last = model.get_layer("dense_8"), model.get_layer("dense_7")
    last.kernel.assign(last.kernel.numpy() * (np.arange(8) != 2)[:, None])  # unit 2 of dense_8 is not used
    middle.kernel.assign(np.where((np.arange(9) == 4)[:, None] & (np.arange(8) != 2), 0, middle.kernel.numpy()))
    result = shrink(model)  # unit 4 of dense_9 was used by that unit alone
    assert 2 not in result.kept["dense_8"]
    assert result.kept["dense_9"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    agree(model, result.model)


def test_one_unit_of_a_dead_layer_stays_and_that_is_said() -> None:
    model = mlp()
    randomize(model, 0)
    dead = model.get_layer("dense_8")
    dead.kernel.assign(np.zeros(dead.kernel.shape))
    result = shrink(model)
    assert {name: len(units) for name, units in result.kept.items()} == {
        "dense_9": 1, "dense_8": 1, "dense_7": 1, "output": 3,
    }  # fmt: skip
    assert result.pinned["dense_8"] == "none of its units does anything, and one has to stay"
    agree(model, result.model)


@keras.saving.register_keras_serializable("test_shrink")
class Mixing(layers.Layer):
    """Adds up the channels."""

    def call(self, x):
        return x + keras.ops.sum(x, axis=-1, keepdims=True)


def squared(x):
    return x * x


def test_layers_without_a_rule_are_carried_over_whole() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 4))
    x = layers.Dense(5, activation="relu", name="free")(inputs)
    x = layers.Dense(4, activation=squared, name="before")(x)
    x = layers.Lambda(lambda t: t[..., ::-1], output_shape=(6, 4))(Mixing()(layers.LayerNormalization()(x)))
    x = layers.LSTM(4)(layers.MultiHeadAttention(2, 3, name="attention")(x, x))
    x = layers.Dense(6, activation="relu", name="after")(x)
    model = keras.Model(inputs, layers.Dense(2, name="output")(x))
    randomize(model, 0)
    left = silence(model, 0.5, 3)
    assert len(left["before"]) == 4
    assert len(left["free"]) + len(left["after"]) < 11
    result = shrink(model)
    assert {name: len(units) for name, units in result.kept.items()} == {name: len(u) for name, u in left.items()}
    agree(model, result.model)


@keras.saving.register_keras_serializable("test_shrink")
class Lying(layers.Layer):
    """Depends on the number of channels, while its rule says that it takes each by itself."""

    def call(self, x):
        return x / x.shape[-1]


def test_a_wrong_rule_is_found_out_before_anything_is_delivered() -> None:
    register_rule(Lying)(lambda call: Traced([call.inputs[0]]))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a"), Lying(name="lying"), layers.Dense(2)])
    kernel = model.get_layer("a").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 1])
    with pytest.raises(ShrinkError, match=r"differs from the original .* 'lying' does not do"):
        shrink(model)


def test_names_dtypes_and_frozen_layers_are_kept() -> None:
    block = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="core")], name="block")
    inputs = keras.Input((3,), name="input")
    x = layers.Dense(5, name="frozen", trainable=False)(inputs)
    x = layers.BatchNormalization(name="bn")(block(x))
    model = keras.Model(inputs, layers.Dense(2, name="output", dtype="mixed_float16")(x), name="net")
    block.trainable = False
    model.get_layer("bn").gamma.trainable = False
    silence(model, 0.5, 0)
    small = shrink(model).model
    assert small.name == "net"
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    assert [w.path for w in small.trainable_weights] == [w.path for w in model.trainable_weights]
    assert [w.dtype for w in small.weights] == [w.dtype for w in model.weights]
    assert small.get_layer("output").compute_dtype == "float16"


class Unnamed(layers.Layer):
    """Takes an argument that its config does not name."""

    def __init__(self, function: Callable[[object], object], **options: object) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, x):
        return self.function(x)


def test_what_cannot_be_rebuilt_is_refused_with_the_fix() -> None:
    with pytest.raises(UserError, match="is not built"):
        shrink(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(UserError, match=r"'strange' \(Unnamed\) cannot be copied: give it a get_config"):
        shrink(keras.Sequential([keras.Input((3,)), Unnamed(keras.ops.relu, name="strange"), layers.Dense(2)]))


def test_any_structure_of_inputs_and_outputs_is_kept() -> None:
    image, vector = keras.Input((None, None, 2), name="image"), keras.Input((3,), name="vector")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(x), layers.Dense(4, activation="tanh", name="dense")(vector)]
    )
    outputs = {
        "first": layers.Dense(2, name="first")(x),
        "second": layers.Dense(3, activation="softmax", name="second")(x),
    }
    model = keras.Model({"image": image, "vector": vector}, outputs)
    randomize(model, 0)
    silence(model, 0.5, 0)
    small = shrink(model).model
    assert small.count_params() < model.count_params()
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(2, 7, 8, 2)).astype("float32"), "vector": rng.normal(size=(2, 3)).astype("float32")}
    got, want = small(x), model(x)
    assert list(got) == list(want) == ["first", "second"]
    for name in want:
        np.testing.assert_allclose(got[name], want[name], atol=1e-6)
