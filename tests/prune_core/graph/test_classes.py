"""Which units belong together, which must stay, and the masks that silence them."""

import keras
import numpy as np
import pytest
from keras import layers

from prune_core.errors import UserError
from prune_core.graph import Axes, Link, Traced, channel_classes, register_rule, unit_masks
from prune_core.graph.ids import ChannelIds
from prune_core.weights import prunable_layers, weight_variables


def residual() -> keras.Model:
    """stem and block_2 add into one stream of 4 channels; block_1 has 3 of its own."""
    x = inputs = keras.Input((8, 8, 2), name="input")
    x = shortcut = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    x = layers.Conv2D(3, 3, padding="same", name="block_1")(x)
    x = layers.BatchNormalization(name="bn_1")(x)
    x = layers.Conv2D(4, 3, padding="same", name="block_2")(x)
    x = layers.Add(name="add")([x, shortcut])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(5, name="output")(x))


def through(*middle: layers.Layer, shape: tuple[int | None, ...] = (6, 6, 2)) -> keras.Model:
    """conv (4 filters) -> the given layers -> output."""
    stack = [keras.Input(shape, name="input"), layers.Conv2D(4, 3, name="conv"), *middle]
    return keras.Sequential([*stack, layers.Flatten(name="flatten"), layers.Dense(3, name="output")])


def test_united_ids_form_classes_numbered_by_their_first_id() -> None:
    ids = ChannelIds()
    first, second, third = ids.new(2), ids.new(2), ids.new(1)
    ids.unite(second, first[::-1])
    assert ids.classes()[np.concatenate([first, second, third])].tolist() == [0, 1, 1, 0, 2]


def test_a_chain_has_one_component_a_layer_and_pins_only_its_output() -> None:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2, name="b"), layers.Dense(2, name="output")]
    )
    classes = channel_classes(model)
    assert [component.layers for component in classes.components()] == [("a",), ("b",), ("output",)]
    assert {name: len(ids) for name, ids in classes.units.items()} == {"a": 4, "b": 2, "output": 2}
    assert len(set(np.concatenate(list(classes.units.values())))) == 8
    assert not classes.pinned[classes.units["a"]].any()
    assert not classes.pinned[classes.units["b"]].any()
    assert classes.pinned[classes.units["output"]].all()
    assert classes.pinned_reasons == {"output": "it makes an output of the network"}


def test_a_residual_stage_is_one_component() -> None:
    classes = channel_classes(residual())
    assert classes.units["stem"].tolist() == classes.units["block_2"].tolist()
    stage, inner, _ = classes.components()
    assert stage.layers == ("stem", "block_2")
    assert stage.classes.tolist() == sorted(classes.units["stem"])
    assert inner.layers == ("block_1",)


def test_masks_silence_kernel_bias_gamma_and_beta_of_the_chosen_units_only() -> None:
    model = residual()
    classes = channel_classes(model)
    masks = unit_masks(model, classes, {int(classes.units["stem"][1]), int(classes.units["block_1"][2])})
    weights = weight_variables(model)
    assert all(mask.shape == weights[path].shape and mask.dtype == bool for path, mask in masks.items())
    kept = {path: mask.reshape(-1, mask.shape[-1]).all(axis=0).tolist() for path, mask in masks.items()}
    stage, inner = [True, False, True, True], [True, True, False]
    assert kept == {
        "stem/kernel": stage, "stem/bias": stage, "block_2/kernel": stage, "block_2/bias": stage,
        "block_1/kernel": inner, "block_1/bias": inner, "bn_1/gamma": inner, "bn_1/beta": inner,
    }  # fmt: skip
    assert sum(int((~mask).sum()) for mask in masks.values()) == 3 * 3 * (2 + 3 + 4) + 5


def test_masks_follow_the_layout_of_each_kind_of_convolution() -> None:
    model = through(
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        layers.SeparableConv2D(5, 1, name="separable"),
        layers.Conv2DTranspose(3, 2, name="transpose"),
        layers.BatchNormalization(scale=False, name="bn"),
    )
    classes = channel_classes(model)
    assert set(classes.units) == {"conv", "separable/pointwise_kernel", "transpose", "output"}
    chosen = [classes.units["conv"][0], classes.units["separable/pointwise_kernel"][1], classes.units["transpose"][2]]
    masks = unit_masks(model, classes, np.array(chosen))
    assert masks["depthwise/kernel"][0, 0].tolist() == [[False, False], [True, True], [True, True], [True, True]]
    assert masks["depthwise/bias"].tolist() == [False, False] + [True] * 6
    assert "separable/depthwise_kernel" not in masks
    assert masks["separable/pointwise_kernel"].all(axis=(0, 1, 2)).tolist() == [True, False, True, True, True]
    assert masks["transpose/kernel"].shape == (2, 2, 3, 5)
    assert masks["transpose/kernel"].all(axis=(0, 1, 3)).tolist() == [True, True, False]
    # without a gamma the mean is what would be left of a silent unit
    assert masks["bn/moving_mean"].tolist() == masks["bn/beta"].tolist() == [True, True, False]
    assert "bn/moving_variance" not in masks


def test_pinned_or_unknown_classes_cannot_be_masked() -> None:
    model = residual()
    classes = channel_classes(model)
    with pytest.raises(ValueError, match="is pinned"):
        unit_masks(model, classes, {int(classes.units["output"][0])})
    with pytest.raises(ValueError, match="class ids run from 0"):
        unit_masks(model, classes, {len(classes.pinned)})


@keras.saving.register_keras_serializable("test_graph")
class Doubled(layers.Layer):
    """Element-wise, but tracing cannot know that."""

    def call(self, x):
        return 2 * x


@pytest.mark.parametrize(
    ("middle", "word"),
    [
        ([Doubled(name="mystery")], "'mystery' (Doubled) has no shrinking rule"),
        ([layers.LayerNormalization(name="ln")], "'ln' (LayerNormalization) has no shrinking rule"),
        ([layers.Conv2D(4, 1, groups=2, name="grouped")], "grouped convolution (groups=2)"),
        ([layers.Softmax(name="softmax")], "'softmax' (Softmax) has no shrinking rule"),
        ([layers.Permute((3, 1, 2), name="permute")], "'permute' takes channels off the last axis"),
        ([layers.BatchNormalization(axis=1, name="bn")], "'bn' normalizes axis 1"),
        ([layers.Reshape((16, 4)), layers.LSTM(3, name="rnn"), layers.Reshape((3, 1))], "'rnn' (LSTM) has no"),
        ([layers.Lambda(lambda x: x[..., ::-1], output_shape=(4, 4, 4), name="flip")], "'flip' (Lambda) has no"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_pinned_and_reported(middle: list[layers.Layer], word: str) -> None:
    classes = channel_classes(through(*middle))
    assert classes.pinned[classes.units["conv"]].all()
    assert word in classes.pinned_reasons["conv"]


def test_a_mixing_activation_pins_the_units_but_not_their_inputs() -> None:
    classes = channel_classes(through(layers.Conv2D(4, 1, activation="softmax", name="mixed")))
    assert not classes.pinned[classes.units["conv"]].any()
    assert "activation softmax" in classes.pinned_reasons["mixed"]


def test_attention_and_shared_broadcasts_are_pinned() -> None:
    inputs = keras.Input((5, 3))
    x = layers.Dense(4, name="a")(inputs)
    attended = layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    gate = layers.Dense(1, name="gate")(inputs)
    y = layers.Multiply(name="gated")([layers.Dense(4, name="b")(inputs), gate])
    model = keras.Model(inputs, layers.Dense(2, name="output")(layers.Concatenate()([attended, y])))
    reasons = channel_classes(model).pinned_reasons
    assert "'attention' (MultiHeadAttention)" in reasons["a"]
    assert "'gated' broadcasts one channel over many" in reasons["b"]
    assert set(reasons) == {"a", "b", "gate", "output"}


def test_units_added_to_the_input_are_pinned() -> None:
    inputs = keras.Input((4,))
    x = layers.Add()([layers.Dense(4, name="a")(inputs), inputs])
    assert (
        channel_classes(keras.Model(inputs, layers.Dense(2)(x))).pinned_reasons["a"]
        == "it is joined with an input of the network"
    )


def test_a_layer_used_twice_unites_what_flows_into_it() -> None:
    inputs = keras.Input((3,))
    shared = layers.Dense(2, name="shared")
    first, second = layers.Dense(4, name="a")(inputs), layers.Dense(4, name="b")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="output")(layers.Concatenate()([shared(first), shared(second)])))
    classes = channel_classes(model)
    assert classes.units["a"].tolist() == classes.units["b"].tolist()
    assert classes.components()[0].layers == ("a", "b")
    assert len(set(classes.units["shared"])) == 2


def test_reshaping_to_an_image_couples_the_units_of_each_channel() -> None:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(8, name="a"),
            layers.Reshape((2, 2, 2)),
            layers.Conv2D(1, 1, name="b"),
            layers.Flatten(),
        ]
    )
    ids = channel_classes(model).units["a"]
    assert (ids == np.tile(ids[:2], 4)).all()
    assert ids[0] != ids[1]


def test_nested_models_are_followed_under_their_full_names() -> None:
    block = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="inner")], name="block")
    inputs = keras.Input((2,))
    x = block(layers.Dense(4, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="output")(x))
    classes = channel_classes(model)
    assert list(classes.units) == [layer.name for layer in prunable_layers(model)] == ["first", "block/inner", "output"]
    assert list(classes.pinned_reasons) == ["output"]


@keras.saving.register_keras_serializable("test_graph")
class Subclassed(keras.Model):
    def call(self, x):
        return x


def test_models_without_a_graph_are_refused_with_the_fix() -> None:
    with pytest.raises(UserError, match=r"build it as keras.Model\(inputs, outputs\)"):
        channel_classes(Subclassed())
    with pytest.raises(UserError, match="is not built: begin it with keras"):
        channel_classes(keras.Sequential([layers.Dense(2)]))


def test_the_graph_is_not_touched_by_tracing() -> None:
    model = residual()
    nodes = {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    before = [weight.numpy() for weight in model.weights]
    channel_classes(model)
    assert nodes == {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    assert all((weight.numpy() == old).all() for weight, old in zip(model.weights, before, strict=True))


@keras.saving.register_keras_serializable("test_graph")
class Scaled(layers.Dense):
    """A user's own class of Dense layers."""


def test_a_registered_rule_holds_for_exactly_its_class() -> None:
    model = keras.Sequential([keras.Input((3,)), Scaled(4, name="own"), layers.Dense(2, name="output")])
    assert "no shrinking rule" in channel_classes(model).pinned_reasons["own"]

    @register_rule(Scaled)
    def scaled(call):
        units = call.new_units(call.layer.units)
        weights = {"kernel": Axes((call.inputs[0], units), silent=1), "bias": Axes((units,), silent=0)}
        return Traced([units], weights, {"units": units}, lambda layer: Link(np.asarray(layer.kernel) != 0, None))

    assert "own" not in channel_classes(model).pinned_reasons
