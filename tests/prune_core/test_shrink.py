"""Shrunk networks compute the same as masked ones, and are as small as they should be."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from prune_core.errors import UserError
from prune_core.graph import ShrinkError, Traced, channel_classes, register_rule, shrink, unit_masks
from prune_core.weights import weight_variables


def randomize(model: keras.Model, seed: int) -> None:
    """Values for every weight that leave nothing at 0 or 1 by chance; kernels keep theirs (their scale is right)."""
    rng = np.random.default_rng(seed)
    for path, variable in weight_variables(model).items():
        if "kernel" not in path and not path.startswith("normalization/"):
            values = rng.normal(0, 0.2, variable.shape)
            is_scale = path.endswith(("gamma", "variance"))
            variable.assign(np.abs(values) + 0.5 if is_scale else values)


def silence(model: keras.Model, fraction: float, seed: int) -> dict[str, np.ndarray]:
    """Mask a random part of the classes, but at least one unit a layer stays; {layer: units that are left}."""
    classes = channel_classes(model)
    rng = np.random.default_rng(seed)
    gone = ~classes.pinned & (rng.random(len(classes.pinned)) < fraction)
    for ids in classes.units.values():
        gone[ids[0]] = False
    weights = weight_variables(model)
    for path, mask in unit_masks(model, classes, np.flatnonzero(gone)).items():
        weights[path].assign(weights[path].numpy() * mask)
    return {name: np.flatnonzero(~gone[ids]) for name, ids in classes.units.items()}


def run(model: keras.Model, seed: int = 0, size: int = 9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(3, *(d or size for d in tensor.shape[1:]))).astype("float32") for tensor in model.inputs]
    outputs = model(x[0] if len(x) == 1 else x, training=False)
    return np.concatenate([output.numpy().reshape(3, -1) for output in keras.tree.flatten(outputs)], axis=1)


def agree(first: keras.Model, second: keras.Model, **options: int) -> None:
    want = run(first, **options)
    assert np.abs(want).max() > 1e-3, "the network says nothing, so that agreement would mean nothing"
    np.testing.assert_allclose(run(second, **options), want, rtol=0, atol=1e-5 * np.abs(want).max())


def mlp() -> keras.Model:
    hidden = [layers.Dense(n, activation="relu", name=f"dense_{n}") for n in (9, 8, 7)]
    return keras.Sequential([keras.Input((5,)), *hidden, layers.Dense(3, name="output")])


def cnn() -> keras.Model:
    """`same` and `valid`, pooling, padding, cropping, dropout, flattening."""
    return keras.Sequential([
        keras.Input((12, 12, 2)),
        layers.Conv2D(6, 3, padding="same", activation="relu", name="conv_1"),
        layers.MaxPooling2D(padding="same"),
        layers.ZeroPadding2D(1),
        layers.Conv2D(5, 3, strides=2, name="conv_2"),
        layers.PReLU(shared_axes=[1, 2]),
        layers.SpatialDropout2D(0.3),
        layers.UpSampling2D(2),
        layers.Cropping2D(1),
        layers.AveragePooling2D(2, strides=1, padding="same"),
        layers.Flatten(),
        layers.Dense(8, activation="gelu", name="dense_1"),
        layers.Dense(3, name="output"),
    ])  # fmt: skip


def residual() -> keras.Model:
    """Batch normalization before and after convolutions, a residual stage, a gate, bare operations."""
    inputs = keras.Input((8, 8, 2))
    x = shortcut = layers.Conv2D(6, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = keras.ops.relu(layers.BatchNormalization(name="bn_1")(x))
    x = layers.Conv2D(5, 3, padding="same", name="conv_1")(x)
    x = layers.ReLU()(layers.BatchNormalization(scale=False, name="bn_2")(x))
    x = layers.Conv2D(6, 1, name="conv_2")(x) * 0.5 + shortcut
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = keras.ops.reshape(layers.Multiply()([x, gate]), (-1, 64, 6))[:, 3:]
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(3, name="output")(x))


def branches() -> keras.Model:
    """Concatenate, depthwise, separable and transposed convolutions, reshaping, two inputs and two outputs."""
    image, vector = keras.Input((6, 6, 2)), keras.Input((4,))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(x)
    y = layers.Reshape((3, 3, 2))(layers.Dense(18, name="dense")(vector))
    y = layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="transpose")(y)
    z = layers.Concatenate()([x, y, image])
    z = layers.SeparableConv2D(6, 3, depth_multiplier=2, activation="relu", name="separable")(z)
    z = layers.Permute((2, 1, 3))(z)
    first = layers.Dense(3, name="output_1")(layers.Flatten()(z))
    return keras.Model([image, vector], [first, layers.Dense(2, name="output_2")(keras.ops.mean(z, axis=(1, 2)))])


def shared() -> keras.Model:
    """One layer and one nested model, each used twice; a model in a model in a model."""
    core = keras.Sequential([keras.Input((6,)), layers.Dense(7, activation="tanh", name="core")], name="inner")
    start = keras.Input((6,))
    block = keras.Model(start, layers.Add()([core(start), layers.Dense(7, name="side")(start)]), name="block")
    one, two = keras.Input((5,)), keras.Input((5,))
    embed = layers.Dense(6, activation="relu", name="embed")
    joined = layers.Concatenate()([block(embed(one)), block(embed(two))])
    return keras.Model([one, two], layers.Dense(3, name="output")(joined))


def sequence() -> keras.Model:
    """One axis of unknown size; causal and valid convolutions along it."""
    return keras.Sequential([
        keras.Input((None, 3)),
        layers.Conv1D(6, 3, padding="causal", activation="relu", name="causal"),
        layers.Conv1D(5, 2, name="valid"),
        layers.Dense(6, activation="elu", name="each"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(3, name="output"),
    ])  # fmt: skip


ZOO: list[Callable[[], keras.Model]] = [mlp, cnn, residual, branches, shared, sequence]


@pytest.mark.parametrize("build", ZOO, ids=lambda build: build.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_removing_silent_units_changes_nothing_but_the_size(build: Callable[[], keras.Model], seed: int) -> None:
    keras.utils.set_random_seed(seed)
    model = build()
    randomize(model, seed)
    left = silence(model, 0.5, seed)
    before = [weight.numpy() for weight in model.weights]
    result = shrink(model)
    assert {name: units.tolist() for name, units in result.kept.items()} == {k: v.tolist() for k, v in left.items()}
    assert result.model.count_params() < model.count_params()
    assert result.max_difference <= 1e-5
    agree(model, result.model)
    assert list(weight_variables(result.model)) == list(weight_variables(model))
    assert all((weight.numpy() == old).all() for weight, old in zip(model.weights, before, strict=True))
    again = shrink(result.model)
    assert again.model.count_params() == result.model.count_params(), "nothing was left to remove"


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
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a"), Lying(), layers.Dense(2, name="output")])
    kernel = model.get_layer("a").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 1])
    with pytest.raises(ShrinkError, match="differs from the original"):
        shrink(model)


@pytest.mark.parametrize("build", [residual, branches, shared], ids=lambda build: build.__name__)
def test_the_result_is_saved_and_loaded_like_any_model(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    model = build()
    randomize(model, 1)
    silence(model, 0.4, 1)
    small = shrink(model).model
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert (run(loaded) == run(small)).all()
    assert list(weight_variables(loaded)) == list(weight_variables(small))


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


APPLICATIONS = [
    ("MobileNetV2", 32), ("VGG16", 32), ("ResNet50", 32), ("MobileNetV3Small", 32), ("EfficientNetB0", 32),
    ("DenseNet121", 32), ("Xception", 75), ("InceptionV3", 75),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"),
    [pytest.param(*case, marks=[] if case[0] == "MobileNetV2" else pytest.mark.slow) for case in APPLICATIONS],
)
def test_well_known_architectures_shrink_by_all_that_was_silenced(name: str, size: int) -> None:
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    model = build(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None, **options)
    randomize(model, 0)
    left = silence(model, 0.4, 0)
    result = shrink(model)
    assert {name: units.tolist() for name, units in result.kept.items()} == {k: v.tolist() for k, v in left.items()}
    assert result.model.count_params() < 0.5 * model.count_params()
    agree(model, result.model)
