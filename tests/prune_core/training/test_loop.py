"""Training, fine-tuning under masks, evaluation: determinism, exact masks, plain figures."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from keras import layers
from sklearn.datasets import load_digits

from prune_core import device, models, training
from prune_core.errors import UserError
from prune_core.training import TrainingConfig
from prune_core.weights import weight_variables

ROOT = Path(__file__).parents[3]
CONFIG = {"epochs": 2, "batch_size": 64, "learning_rate": 0.005, "finetune": {"epochs": 1, "learning_rate": 0.001}}


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32).reshape(-1, 8, 8, 1), y.astype(np.int64)
    return SimpleNamespace(
        x_train=x[:1000], y_train=y[:1000], x_val=x[1000:1400], y_val=y[1000:1400], x_test=x[1400:], y_test=y[1400:]
    )


def perceptron(dropout=0.0):
    return models.build("m", {"builder": "mlp", "hidden": [32], "dropout": dropout}, (8, 8, 1), 10, seed=0)


def convolutional():
    inputs = keras.Input((8, 8, 1), name="input")
    x = layers.Conv2D(6, 3, name="conv_1", kernel_initializer=keras.initializers.HeNormal(1))(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(x))
    x = layers.Dropout(0.2, seed=5)(layers.Flatten()(layers.MaxPooling2D()(x)))
    return keras.Model(inputs, layers.Dense(10, name="output", kernel_initializer=keras.initializers.HeNormal(2))(x))


def weights(model):
    return [w.copy() for w in model.get_weights()]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_training_leaves_nothing_in_memory(optimizer, digits):
    """A warm worker does hundreds of them; a graph that stays keeps its network, its optimiser's state and the data."""

    def graphs():
        gc.collect()
        return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())

    training.train(perceptron(), digits, {**CONFIG, "optimizer": optimizer}, seed=0)
    before = graphs()  # TensorFlow's own default graph, which the first training of a process makes, is one of them
    training.train(perceptron(), digits, {**CONFIG, "optimizer": optimizer}, seed=0)
    assert graphs() == before


@pytest.mark.parametrize("make", [lambda: perceptron(dropout=0.3), convolutional])
def test_the_seed_alone_determines_the_result(make, digits):
    def run(seed):
        model = make()
        history = training.train(model, digits, CONFIG, seed)
        return weights(model), history

    first, history = run(1)
    # Work in between must not show.
    keras.utils.set_random_seed(77)
    keras.random.normal((4,))
    again, history_again = run(1)
    other, _ = run(2)
    assert same(first, again)
    assert history == history_again
    assert not same(first, other)


def test_training_leaves_the_process_generators_alone(digits):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    training.train(perceptron(), digits, CONFIG, 0)
    assert np.array_equal(before, np.random.get_state()[1])


def test_a_network_learns_and_says_how_it_went(digits):
    model, seen = perceptron(), []
    history = training.train(
        model,
        digits,
        {**CONFIG, "epochs": 15},
        0,
        on_epoch=lambda n, figures: seen.append((n, figures["val_accuracy"])),
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert seen == list(enumerate(history["val_accuracy"], start=1))
    assert history["loss"][-1] < history["loss"][0] / 4
    assert training.evaluate(model, digits.x_test, digits.y_test).accuracy > 0.85


def test_epochs_come_one_at_a_time(digits):
    model = perceptron()
    before = weights(model)
    steps = training.epochs(model, digits, CONFIG, 0)
    assert same(before, weights(model))
    next(steps)
    middle = weights(model)
    assert not same(before, middle)
    assert len(list(steps)) == 1
    assert not same(middle, weights(model))


def test_one_step_of_sgd_is_the_gradient(digits):
    # One batch that holds all samples: w - rate * gradient of the mean cross-entropy, here by hand for one layer.
    x, y = digits.x_train[:50], digits.y_train[:50]
    few = SimpleNamespace(x_train=x, y_train=y, x_val=x, y_val=y)
    model = models.build("m", {"builder": "mlp", "hidden": []}, (8, 8, 1), 10, seed=0)
    kernel, bias = (w.astype(np.float64) for w in weights(model))
    flat = x.reshape(50, -1).astype(np.float64)
    exponentials = np.exp(flat @ kernel + bias)
    errors = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(10)[y]
    training.train(model, few, {"epochs": 1, "batch_size": 64, "learning_rate": 0.5, "optimizer": "sgd"}, 0)
    after = weights(model)
    np.testing.assert_allclose(after[0], kernel - 0.5 * flat.T @ errors / 50, atol=1e-6)
    np.testing.assert_allclose(after[1], bias - 0.5 * errors.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "momentum"])
def test_finetuning_holds_the_masks_exactly(optimizer, digits):
    model = convolutional()
    rng = np.random.default_rng(0)
    masks = {path: rng.random(w.shape) < 0.5 for path, w in weight_variables(model).items() if "moving" not in path}
    # After one step and after all of them: zero, and not -0.0.
    for steps in (training.epochs(model, digits, {**CONFIG, "optimizer": optimizer}, 0, masks), None):
        if steps is None:
            before = weights(model)
            training.finetune(model, masks, digits, {**CONFIG, "optimizer": optimizer}, 0)
            assert not same(before, weights(model))
        else:
            next(steps)
        for path, mask in masks.items():
            removed = weight_variables(model)[path].numpy()[~mask]
            assert removed.tobytes() == bytes(removed.nbytes)


def test_a_silent_unit_stays_silent(digits):
    model = convolutional()
    masks = {path: np.ones(w.shape, bool) for path, w in weight_variables(model).items() if "moving" not in path}
    for path in ("conv_1/kernel", "conv_1/bias", "bn/gamma", "bn/beta"):
        masks[path][..., 2] = False
    training.finetune(model, masks, digits, CONFIG, 0)
    inner = keras.Model(model.input, model.get_layer("bn").output)
    assert not inner(digits.x_val).numpy()[..., 2].any()


def test_finetuning_improves_a_pruned_network(digits):
    model = perceptron()
    training.train(model, digits, {**CONFIG, "epochs": 10}, 0)
    kernel = weight_variables(model)["dense_1/kernel"]
    mask = np.abs(kernel.numpy()) > np.quantile(np.abs(kernel.numpy()), 0.9)
    kernel.assign(kernel.numpy() * mask)
    before = training.evaluate(model, digits.x_val, digits.y_val)
    training.finetune(model, {"dense_1/kernel": mask}, digits, {**CONFIG, "finetune": {"epochs": 5}}, 0)
    assert training.evaluate(model, digits.x_val, digits.y_val).loss < before.loss


def test_a_mask_that_fits_nothing_is_refused(digits):
    for masks in ({"dense_9/kernel": np.ones((2, 2), bool)}, {"dense_1/kernel": np.ones((2, 2), bool)}):
        with pytest.raises(ValueError, match="fits no weight"):
            training.finetune(perceptron(), masks, digits, CONFIG, 0)


def test_divergence_is_said_and_stops_the_training(digits):
    config = {"epochs": 5, "learning_rate": 1e30, "optimizer": "sgd"}
    with pytest.raises(training.TrainingDiverged, match=r"after epoch 1 of 5: lower training\.learning_rate"):
        training.train(perceptron(), digits, config, 0)


def with_ending(*ending):
    return keras.Sequential([keras.Input((2,)), *ending])


def test_evaluation_of_literal_numbers():
    # Logits (0, ln 3) are probabilities (1/4, 3/4).
    model = with_ending(layers.Dense(2, use_bias=False, kernel_initializer="identity"))
    x = np.array([[0, np.log(3)]] * 4, np.float32)
    y = np.array([1, 1, 1, 0])
    expected = training.Evaluation(-(3 * np.log(3 / 4) + np.log(1 / 4)) / 4, 0.75)
    for batch_size in (1, 3, 100):
        found = training.evaluate(model, x, y, batch_size)
        assert found.accuracy == expected.accuracy
        assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    probabilities = with_ending(*model.layers, layers.Softmax())
    assert training.evaluate(probabilities, x, y).loss == pytest.approx(expected.loss, rel=1e-6)
    # Sigmoids of 0.2 and 0.6 say the same once they sum to 1.
    sigmoids = with_ending(*model.layers, layers.Activation("sigmoid"))
    chances = np.array([[0.2, 0.6]] * 4)
    found = training.evaluate(sigmoids, np.log(chances / (1 - chances)).astype(np.float32), y)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.accuracy == expected.accuracy


def test_a_softmax_network_trains(digits):
    inputs = keras.Input((8, 8, 1))
    head = layers.Dense(10, activation="softmax", kernel_initializer=keras.initializers.HeNormal(0))
    history = training.train(
        keras.Model(inputs, head(layers.Flatten()(inputs))), digits, {"epochs": 10, "learning_rate": 0.01}, 0
    )
    assert history["val_accuracy"][-1] > 0.85


def test_frozen_layers_stay(digits):
    model = perceptron()
    model.get_layer("dense_1").trainable = False
    before = model.get_layer("dense_1").get_weights()
    training.train(model, digits, CONFIG, 0)
    assert same(before, model.get_layer("dense_1").get_weights())


def test_the_cosine_starts_at_the_rate_and_falls():
    config = TrainingConfig(epochs=4, learning_rate=0.1, decay="cosine")
    assert [config.rate(epoch) for epoch in range(4)] == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"epochs": 0}, "training.epochs=0"),
        ({"batch_size": 1.5}, "training.batch_size=1.5"),
        ({"learning_rate": 0}, "training.learning_rate=0"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"decay": "cos"}, "did you mean 'cosine'"),
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"finetune": {"epochs": -1}}, "training.finetune.epochs=-1"),
        ({"finetune": 3}, "training.finetune=3"),
    ],
)
def test_bad_settings_are_refused_by_name(change, key):
    with pytest.raises(UserError) as refusal:
        TrainingConfig.from_mapping({**CONFIG, **change})
    assert key in str(refusal.value)


@pytest.mark.parametrize("name", ["default", "fast", "full"])
def test_the_files_are_valid_and_explain_each_key(name):
    path = ROOT / "conf" / "training" / f"{name}.yaml"
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# @package training", f"# python sweeps/run.py training={name}"]
    assert all(lines[n - 1].strip().startswith("#") for n, line in enumerate(lines) if line and "#" not in line)
    config = TrainingConfig.from_mapping(yaml.safe_load(path.read_text()))
    assert config.section("finetune").epochs == config.sections["finetune"].epochs


def run_alone(code: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_process_is_placed_once():
    code = """
import tensorflow as tf
from prune_core.device import configure
print(configure(0, 1), configure(0, 1) == configure(0, 1), tf.config.get_visible_devices("GPU"))
print(tf.config.threading.get_intra_op_parallelism_threads())
tf.zeros([1]).numpy()
print(configure(0, 1))
try:
    configure(0, 2)
except RuntimeError as error:
    print(error)
"""
    lines = run_alone(code).splitlines()
    assert lines[:3] == ["CPU, 1 thread True []", "1", "CPU, 1 thread"]
    assert "use another one" in lines[3]


def test_placing_after_the_first_operation_is_refused(monkeypatch):
    monkeypatch.setattr(device, "_placed", None)
    tf.zeros([1]).numpy()
    with pytest.raises(RuntimeError, match="TensorFlow has started"):
        device.configure(0, 77)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_missed(monkeypatch):
    monkeypatch.setattr(device, "_placed", None)
    with pytest.raises(RuntimeError, match="gpus_per_trial"):
        device.configure(0.5, 1)
