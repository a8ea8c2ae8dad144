"""A person's own .keras file: read without Keras, refused unless harmless and fitting."""

import contextlib
import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from prune_core.errors import UserError
from prune_core.models import build, check
from prune_core.weights import prunable_layers
from tests.mutations import altered, fuzzing

SHAPE = (8, 8, 1)


@keras.saving.register_keras_serializable("mine")
class Doubling(layers.Layer):
    def call(self, x):
        return 2 * x


class CustomLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred)


def small(*extra, activation=None):
    return keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(4), *extra, layers.Dense(3, activation=activation)]
    )


def nested():
    inputs = keras.Input(SHAPE, name="input")
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.SeparableConv2D(6, 3, name="sep")(keras.ops.relu(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Dropout(0.5, name="dropout")(layers.Flatten(name="flatten")(x))
    block = keras.Sequential([keras.Input((24,)), layers.Dense(5, name="inner"), layers.ReLU()], name="block")
    x = block(x) + 1.0
    return keras.Model(inputs, layers.Softmax(name="probabilities")(layers.Dense(3, name="last")(x)))


def saved(model, folder: Path) -> str:
    path = folder / "net.keras"
    model.save(path)
    return str(path)


def checked(path, shape=SHAPE, classes=3, **config):
    return check("keras_file", {"builder": "keras_file", "path": path, **config}, shape, classes)


def refusal(path, **arguments) -> str:
    with pytest.raises(UserError) as refused:
        checked(str(path), **arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def rewritten(path: str, change) -> str:
    """The file with its config.json changed by a function."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    changed = change(config)
    members["config.json"] = json.dumps(config if changed is None else changed).encode()
    target = path.replace("net.keras", "changed.keras")
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


@pytest.mark.parametrize("make", [small, nested, lambda: small(activation="softmax"), lambda: small(layers.ReLU())])
def test_the_check_agrees_with_the_loaded_network(make, tmp_path):
    original = make()
    path = saved(original, tmp_path)
    info = checked(path)
    model = build("keras_file", {"builder": "keras_file", "path": path}, SHAPE, 3, seed=0)
    assert info.kernel_layers == tuple(layer.name for layer in prunable_layers(model))
    assert info.parameters == original.count_params()
    assert info.trained
    x = np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)
    assert np.array_equal(model(x).numpy(), original(x).numpy())


def test_the_optimiser_does_not_count(tmp_path):
    model = small()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    assert checked(saved(model, tmp_path)).parameters == model.count_params()


def test_the_fingerprint_is_that_of_the_file(tmp_path):
    path = saved(small(), tmp_path)
    info = checked(path, train=True)
    assert not info.trained
    assert checked(path, sha256=info.fingerprint).fingerprint == info.fingerprint
    assert "the file has changed" in refusal(path, sha256="0" * 64)


def test_a_network_that_does_not_fit_is_refused(tmp_path):
    path = saved(small(), tmp_path)
    assert "it takes (8, 8, 1)" in refusal(path, shape=(28, 28, 1))
    assert "3 outputs for a dataset of 10 classes" in refusal(path, classes=10)


def test_an_open_input_shape_is_refused(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    assert "cannot take samples" in refusal(saved(keras.Model(inputs, layers.Dense(3)(x)), tmp_path))


def test_two_outputs_are_refused(tmp_path):
    inputs = keras.Input(SHAPE)
    x = layers.Flatten()(inputs)
    path = saved(keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(3)(x)]), tmp_path)
    assert "gives 2 outputs" in refusal(path)


def test_what_is_no_keras_file_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.keras")
    assert "is a folder" in refusal(tmp_path)
    assert "models.keras_file.path" in refusal("")
    text = tmp_path / "text.keras"
    text.write_text("hello")
    assert "damaged" in refusal(text)
    other = tmp_path / "net.zip"
    other.write_bytes(b"PK")
    assert "does not end in .keras" in refusal(other)


@pytest.mark.parametrize("name", ["old.h5", "old.keras"])
def test_legacy_hdf5_is_refused_with_the_fix(name, tmp_path):
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert 'model.save("old.keras")' in refusal(path)


def test_code_is_refused(tmp_path):
    assert "custom object 'mine>Doubling'" in refusal(saved(small(Doubling()), tmp_path))
    assert "Lambda" in refusal(saved(small(layers.Lambda(lambda x: x)), tmp_path))


@pytest.mark.parametrize(
    "planted",
    [
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}, "registered_name": None},
        {"module": "keras", "class_name": "Model", "config": {}, "registered_name": None},
        {"class_name": "__lambda__", "config": {"value": "x"}},
        {"module": None, "class_name": "Thing", "config": {}, "registered_name": "Thing"},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": "mine>Dense"},
        {"module": "keras.src.applications.resnet", "class_name": "function", "config": "ResNet50"},
    ],
)
def test_planted_objects_are_refused_wherever_they_are(planted, tmp_path):
    def plant(config):
        config["config"]["layers"][-1]["config"]["kernel_initializer"] = {"hidden": [planted]}

    assert refusal(rewritten(saved(small(), tmp_path), plant))


def test_what_a_nested_model_was_compiled_with_is_loaded_and_looked_at(tmp_path):
    def plant(config):
        loss = {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}}
        config["config"]["layers"][-1]["compile_config"] = {"loss": loss}

    assert "TFSMLayer" in refusal(rewritten(saved(small(), tmp_path), plant))
    inner = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)], name="inner")
    inner.compile("adam", "mse", metrics=["mae", keras.metrics.MeanSquaredError()])
    assert checked(saved(keras.Sequential([keras.Input(SHAPE), inner]), tmp_path))


def test_layers_of_keras_are_taken_wherever_keras_keeps_them(tmp_path):
    from keras.src.applications.convnext import LayerScale

    assert checked(saved(small(LayerScale(0.5, 1)), tmp_path))


def test_a_compiled_custom_loss_does_no_harm(tmp_path):
    model = small()
    model.compile("adam", CustomLoss())
    assert checked(saved(model, tmp_path)).parameters == model.count_params()


def test_a_subclassed_model_is_refused(tmp_path):
    def rename(config):
        config["class_name"] = "Mine"

    assert "subclassed model (Mine)" in refusal(rewritten(saved(small(), tmp_path), rename))


@pytest.mark.parametrize("config", [[], {"class_name": "Sequential"}, {"class_name": "Sequential", "config": {}}])
def test_a_config_without_a_model_is_refused(config, tmp_path):
    path = rewritten(saved(small(), tmp_path), lambda _: config)
    if not config:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "[]")
            archive.writestr("model.weights.h5", b"")
    assert refusal(path)


def test_a_deep_config_is_refused(tmp_path):
    def bury(config):
        inner: dict = {}
        for _ in range(300):
            inner = {"a": inner}
        config["more"] = inner

    assert "nested" in refusal(rewritten(saved(small(), tmp_path), bury))


@pytest.mark.parametrize("member", ["../outside", "assets/table.txt", "/etc/x"])
def test_further_members_are_refused(member, tmp_path):
    path = saved(small(), tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "x")
    assert "without assets" in refusal(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.keras"]


def test_a_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\0" * 2**20)
    assert "unpacks" in refusal(path)


def test_links_out_of_the_weights_are_refused(tmp_path):
    path = saved(small(), tmp_path)
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("layers")["away"] = h5py.ExternalLink("/etc/hostname", "/")
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", content.getvalue())
    assert "links" in refusal(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Path(saved(small(), tmp_path_factory.mktemp("whole"))).read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error_of_the_user_or_harmless(data, whole, tmp_path):
    path = tmp_path / "damaged.keras"
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(UserError):
            checked(str(path))
        return
    content = bytearray(whole)
    content[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    # Any other exception fails the test.
    with contextlib.suppress(UserError):
        checked(str(path))


@fuzzing(40)
@given(data=st.data())
def test_a_changed_description_is_refused_or_makes_a_network(data, whole, tmp_path_factory):
    """Whatever the JSON inside says: what `check` lets through, `build` builds or refuses in a sentence as well."""
    path = tmp_path_factory.mktemp("changed") / "net.keras"
    path.write_bytes(whole)
    config = data.draw(altered(described(path)))
    changed = rewritten(str(path), lambda _: config)
    with contextlib.suppress(UserError):
        checked(changed)
        build("keras_file", {"builder": "keras_file", "path": changed}, SHAPE, 3, seed=0)


def described(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))
