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
from prune_core.models.keras_file import save_network, stored_input
from prune_core.tasks.compiled_loss import loss_of
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


OPEN = {
    (None, None, 1): lambda: [layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()],
    (None, 8): lambda: [layers.LSTM(2)],
    (8, 8): lambda: [layers.Conv1D(2, 3), layers.Flatten()],
    (8, 8, 1, 1): lambda: [layers.Conv3D(2, (3, 3, 1)), layers.Flatten()],
}


@pytest.mark.parametrize("shape", OPEN)
def test_samples_that_fit_an_open_size_or_lack_an_axis_of_length_one_are_taken(shape, tmp_path):
    path = saved(keras.Sequential([keras.Input(shape), *OPEN[shape](), layers.Dense(3, name="last")]), tmp_path)
    assert checked(path).kernel_layers[-1] == "last"
    assert build("keras_file", {"builder": "keras_file", "path": path}, SHAPE, 3, seed=0).output_shape == (None, 3)
    assert stored_input(Path(path)) == (shape, "float32")
    assert f"it takes {shape}" in refusal(path, shape=(8, 9, 3))


def test_samples_of_another_shape_are_refused_with_the_one_that_fits(tmp_path):
    path = saved(small(), tmp_path)
    assert "it takes (8, 8, 1), so store them as (samples, 8, 8, 1)" in refusal(path, shape=(64,))
    assert refusal(path, shape=(65,)).endswith("it takes (8, 8, 1)")


def adapted(kind, values):
    layer = kind()
    if kind is layers.Normalization:
        layer.adapt(values)
    else:
        layer.build((None, *SHAPE))
        layer.moving_mean.assign([values.mean()])
        layer.moving_variance.assign([values.var()])
    return layer


def functional(function, dtype="float32"):
    inputs = keras.Input(SHAPE, dtype=dtype)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(function(inputs))))


def sequential(*first):
    return keras.Sequential([keras.Input(SHAPE), *first, layers.Flatten(), layers.Dense(3)])


BYTES = np.random.default_rng(0).integers(0, 256, (50, *SHAPE)).astype("float32")
NAMED = {"scale": 1 / 255, "name": "first"}
TAKE_BYTES = {
    "rescaling": lambda: sequential(layers.Rescaling(**NAMED)),
    "to -1 ... 1": lambda: sequential(layers.Rescaling(1 / 127.5, offset=-1, name="first")),
    "each channel": lambda: sequential(layers.Rescaling([1 / 60], offset=[-2.0], name="first")),
    "mean subtracted": lambda: sequential(layers.Rescaling(1.0, offset=-127.0, name="first")),
    "augmented before": lambda: sequential(
        layers.Resizing(8, 8), layers.CenterCrop(8, 8), layers.RandomFlip(), layers.Rescaling(**NAMED)
    ),
    "adapted": lambda: sequential(adapted(layers.Normalization, BYTES)),
    "adapted to small numbers": lambda: sequential(adapted(layers.Normalization, BYTES // 86)),  # 0, 1, 2
    "told statistics": lambda: sequential(layers.Normalization(mean=[33.0], variance=[6000.0], name="first")),
    "batch statistics": lambda: sequential(adapted(layers.BatchNormalization, BYTES)),
    "nested": lambda: functional(keras.Sequential([keras.Input(SHAPE), layers.Rescaling(**NAMED)], name="block")),
    "nested, other layers after": lambda: functional(
        keras.Sequential([keras.Input(SHAPE), layers.Rescaling(**NAMED), layers.Conv2D(2, 3)])
    ),
    "functional": lambda: functional(lambda x: layers.Concatenate()([layers.Rescaling(**NAMED)(x)] * 3)),
    "divided": lambda: functional(lambda x: x / 255.0),
    "multiplied": lambda: functional(lambda x: 2 * (x * (1 / 255)) - 1),
    "mean subtracted by hand": lambda: functional(lambda x: x - 128),
    "an application's": lambda: functional(keras.applications.mobilenet_v2.preprocess_input),
    "cast": lambda: functional(lambda x: keras.ops.cast(x, "float32") / 255, dtype="uint8"),
    "over time": lambda: sequential(layers.TimeDistributed(layers.Rescaling(**NAMED))),
}


@pytest.mark.parametrize("case", TAKE_BYTES)
def test_networks_that_scale_by_themselves_are_known(case, tmp_path):
    raw = checked(saved(TAKE_BYTES[case](), tmp_path)).raw
    assert raw is not None
    assert not raw.is_index
    assert raw.layer.startswith("the ")


@pytest.mark.parametrize(
    "make",
    [
        lambda: sequential(),
        lambda: sequential(layers.Rescaling(2.0, offset=-1.0)),
        lambda: sequential(layers.Rescaling(1.0), layers.Conv2D(2, 3)),
        lambda: sequential(layers.Rescaling(1 / 0.3, offset=-0.13 / 0.3)),
        lambda: sequential(adapted(layers.Normalization, BYTES / 255)),
        lambda: sequential(adapted(layers.BatchNormalization, BYTES / 255)),
        lambda: sequential(layers.BatchNormalization(), layers.Conv2D(2, 3)),
        lambda: sequential(layers.Normalization(), layers.Conv2D(2, 3)),  # never adapted
        lambda: sequential(layers.Normalization(mean=[0.5], variance=[0.25]), layers.Conv2D(2, 3)),
        lambda: sequential(layers.Conv2D(2, 3), layers.Rescaling(1 / 255)),  # of no input
        lambda: sequential(layers.RandomContrast(0.1), layers.LayerNormalization()),
        lambda: functional(lambda x: 2 * x - 1),
        lambda: functional(lambda x: 1 - x),
        lambda: functional(lambda x: layers.Add()([x, x])),
    ],
)
def test_networks_that_take_fractions_are_left_with_them(make, tmp_path):
    assert checked(saved(make(), tmp_path)).raw is None


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: [keras.Input((5,)), layers.Embedding(9, 4, name="words"), layers.Flatten()], "the Embedding 'words'"),
        (
            lambda: [keras.Input((None,), dtype="int32"), layers.Embedding(9, 4), layers.GlobalMaxPooling1D()],
            "the Embedding 'embedding",
        ),
        (lambda: [keras.Input((5,)), layers.CategoryEncoding(9, name="counts")], "the CategoryEncoding 'counts'"),
        (lambda: [keras.Input((5,), dtype="int64"), layers.Dense(4)], "an input of int64"),
    ],
)
def test_networks_that_look_their_inputs_up_are_known(make, layer, tmp_path):
    raw = checked(saved(keras.Sequential([*make(), layers.Dense(3)]), tmp_path), shape=(5,)).raw
    assert raw.is_index
    assert raw.layer.startswith(layer)
    assert raw.below == (None if layer.startswith("an input") else 9)


def test_statistics_of_one_name_in_two_models_say_nothing(tmp_path):
    def block():
        norm = layers.Normalization(name="norm")
        norm.adapt(BYTES)
        return keras.Sequential([keras.Input(SHAPE), norm])

    inputs = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Add()([block()(inputs), block()(inputs)]))
    assert checked(saved(keras.Model(inputs, layers.Dense(3)(x)), tmp_path)).raw is None


@pytest.mark.parametrize(
    ("activation", "loss", "fits"),
    [
        ("sigmoid", None, True),
        ("sigmoid", "mse", True),
        (None, None, True),
        (None, keras.losses.BinaryCrossentropy(from_logits=True), True),
        (None, "mse", False),
        ("tanh", None, False),
        ("log_sigmoid", None, False),
        ("tanh", "binary_crossentropy", True),
    ],
)
def test_one_output_is_enough_for_two_classes(activation, loss, fits, tmp_path):
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(1, activation, name="output")])
    if loss:
        model.compile(loss=loss)
    path = saved(model, tmp_path)
    assert "1 outputs for a dataset of 3 classes" in refusal(path)
    if not fits:
        assert "neither a probability nor a logit: end it in a sigmoid" in refusal(path, classes=2)
        return
    assert checked(path, classes=2).loss == loss_of(model)
    assert build("keras_file", {"builder": "keras_file", "path": path}, SHAPE, 2, seed=0).output_shape == (None, 1)


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


def test_a_saved_network_is_the_one_that_is_loaded_again(tmp_path, monkeypatch):
    model = small()
    save_network(model, tmp_path / "net.keras")
    other = keras.models.clone_model(model)  # the same layers with other weights
    monkeypatch.setattr(model, "save", other.save)
    with pytest.raises(UserError, match=f"computes something else from '{model.layers[1].name}' on"):
        save_network(model, tmp_path / "other.keras")


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
