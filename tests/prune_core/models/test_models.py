"""Declared networks: what `check` says is what `build` makes."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_core.errors import UserError
from prune_core.models import BUILDERS, ModelInfo, build, check
from prune_core.weights import prunable_layers

CONF = Path(__file__).parents[3] / "conf" / "model"
DECLARED = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "keras_file")
SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (20,)]


def config_of(name: str) -> dict:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text())


def mlp(**changes) -> dict:
    return {"builder": "mlp", "hidden": [3], **changes}


def cnn(*blocks, **changes) -> dict:
    return {"builder": "cnn", "convolutions": list(blocks), "dense": [5], **changes}


def assert_as_checked(config: dict, shape: tuple[int, ...]) -> None:
    """`check` agrees with the Keras model, or both refuse."""
    try:
        info = check("m", config, shape, 10)
    except UserError:
        with pytest.raises(UserError):
            build("m", config, shape, 10, seed=0)
        return
    model = build("m", config, shape, 10, seed=0)
    assert info.parameters == model.count_params()
    assert info.kernel_layers == tuple(layer.name for layer in prunable_layers(model))
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DECLARED)
def test_check_agrees_with_the_built_network(name, shape):
    assert_as_checked(config_of(name), shape)


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(
        st.fixed_dictionaries(
            {
                "filters": st.integers(1, 3),
                "kernel": st.integers(1, 5),
                "strides": st.integers(1, 3),
                "padding": st.sampled_from(["same", "valid"]),
                "pool": st.integers(1, 3),
            }
        ),
        min_size=1,
        max_size=3,
    ),
    side=st.integers(1, 13),
    use_bias=st.booleans(),
)
def test_check_agrees_for_any_convolutions(blocks, side, use_bias):
    assert_as_checked(cnn(*blocks, use_bias=use_bias), (side, side + 1, 2))


def test_known_sizes():
    sizes = {name: check(name, config_of(name), (28, 28, 1), 10).parameters for name in DECLARED}
    assert sizes == {
        "cnn_16_32_128": 206_922,
        "cnn_16_32_256": 48_912 + 314,
        "cnn_32_64_1024": 3_274_634,
        "lenet_300_100": 266_610,
        "lenet_5": 61_706,
        "mlp_1000_1000_500_200": 2_386_000,
        "mlp_800_800": 1_276_810,
    }


def test_a_tiny_perceptron_counted_by_hand():
    # 4 features into 3 units and these into 2 classes, with biases: 4*3 + 3 + 3*2 + 2.
    assert check("m", mlp(), (2, 2, 1), 2) == ModelInfo(("dense_1", "output"), 23, macs=23)


def test_the_networks_of_the_files_have_the_usual_layers():
    model = build("m", config_of("cnn_32_64_1024"), (28, 28, 1), 10, seed=0)
    names = ["input", "conv_1", "pool_1", "conv_2", "pool_2", "flatten", "dense_1", "dropout", "output"]
    assert [layer.name for layer in model.layers] == names
    assert model.layers[-1].activation.__name__ == "linear"


def test_initial_weights_are_those_of_the_importance_notebook():
    first, bias = build("m", config_of("mlp_800_800"), (28, 28, 1), 10, seed=0).layers[2].get_weights()
    assert np.all(bias == np.float32(0.2))
    # A normal distribution of stddev 0.1 cut at two of them.
    assert np.abs(first).max() <= 0.2
    assert first.std() == pytest.approx(0.088, abs=0.002)


def test_the_seed_alone_determines_the_weights():
    import keras

    def weights(seed):
        return [w.copy() for w in build("m", mlp(), (6,), 2, seed).get_weights()]

    first = weights(3)
    keras.utils.set_random_seed(99)
    keras.random.normal((5,))
    again, other = weights(3), weights(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_equal_layers_start_differently():
    model = build("m", mlp(hidden=[6, 6]), (6,), 2, seed=0)
    assert not np.array_equal(model.get_layer("dense_1").get_weights()[0], model.get_layer("dense_2").get_weights()[0])


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"hidden": [3]}, "models.m.builder"),
        ({"builder": "mpl", "hidden": [3]}, "did you mean 'mlp'"),
        (mlp(hiden=[3]), "did you mean 'hidden'"),
        (mlp(hidden=[3, 0]), "models.m.hidden"),
        (mlp(hidden="300"), "models.m.hidden"),
        (mlp(hidden=[True]), "models.m.hidden"),
        ({"builder": "mlp"}, "models.m.hidden is missing"),
        (mlp(use_bias="yes"), "models.m.use_bias"),
        (mlp(activation="rellu"), "did you mean 'relu'"),
        (mlp(dropout=1.0), "models.m.dropout"),
        (mlp(dropout=float("nan")), "models.m.dropout"),
        (mlp(kernel_initializer="he_normal"), "models.m.kernel_initializer"),
        (mlp(kernel_initializer={"name": "he_norm"}), "did you mean 'he_normal'"),
        (mlp(kernel_initializer={"name": "he_normal", "stddev": 1}), "models.m.kernel_initializer.stddev"),
        (mlp(kernel_initializer={"name": "truncated_normal"}), "stddev is missing"),
        (mlp(kernel_initializer={"name": "truncated_normal", "stddev": -1}), "must be >= 0"),
        (mlp(bias_initializer={"name": "constant"}), "models.m.bias_initializer.value is missing"),
        (cnn(), "models.m.convolutions"),
        (cnn({"filters": 1}), "models.m.convolutions[0].kernel is missing"),
        (cnn({"filters": 1, "kernel": 3, "padding": "full"}), "models.m.convolutions[0].padding"),
        (cnn({"filters": 1, "kernel": 3, "stride": 2}), "did you mean 'strides'"),
        (cnn(3), "models.m.convolutions[0]=3"),
        (cnn({"filters": 1, "kernel": 9}), "conv_1 has a window of 9 for an image of 8"),
        (cnn({"filters": 1, "kernel": 3, "pool": 7}), "pool_1 has a window of 7 for an image of 6"),
    ],
)
def test_bad_settings_are_refused_by_name(config, key):
    with pytest.raises(UserError) as refusal:
        check("m", config, (8, 8, 1), 10)
    assert key in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_convolutions_refuse_flat_features():
    with pytest.raises(UserError, match=r"models.m cannot take samples of shape \(20,\).*mlp"):
        check("m", cnn({"filters": 1, "kernel": 3}), (20,), 10)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_files_say_where_they_belong_and_explain_each_key(path):
    lines = path.read_text().splitlines()
    assert lines[0] == f"# @package models.{path.stem}"
    assert lines[1].startswith(f"# python sweeps/run.py model={path.stem}")
    for number, line in enumerate(lines):
        if line and line[0] not in "# ":
            assert lines[number - 1].startswith("#"), f"{line} has no comment above it"


def test_a_builder_of_another_package(monkeypatch):
    class Mine:
        def check(self, name, config, input_shape, classes):
            return ModelInfo((name, *config), classes)

    monkeypatch.setitem(BUILDERS._entries, "mine", Mine())
    assert check("n", {"builder": "mine", "depth": 2}, (4,), 3) == ModelInfo(("n", "depth"), 3)


def test_multiplications_of_a_convolution_count_every_position():
    # 2 filters of 3x3 on one channel, with biases, at 4x4 positions; then 2*2*2 pooled features into 10 classes.
    config = {"builder": "cnn", "convolutions": [{"filters": 2, "kernel": 3, "pool": 2}], "dense": []}
    assert check("m", config, (6, 6, 1), 10).macs == 4 * 4 * 2 * (9 + 1) + 10 * (8 + 1)
