"""A training that is interrupted goes on bit for bit; a file that cannot be trusted is not used."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from prune_core.training import EpochCheckpoint, epochs

CONFIG = {"epochs": 5, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    rng = np.random.default_rng(0)
    x, y = rng.random((80, 6), "float32"), rng.integers(0, 3, 80)
    return SimpleNamespace(x_train=x, y_train=y, x_val=x[:20], y_val=y[:20])


def network() -> keras.Model:
    keras.backend.clear_session()
    inputs = keras.Input((6,), name="input")
    hidden = keras.layers.Dense(8, "relu", kernel_initializer=keras.initializers.GlorotUniform(1), name="dense_1")(
        inputs
    )
    hidden = keras.layers.Dropout(0.3, seed=1, name="dropout")(keras.layers.BatchNormalization(name="norm")(hidden))
    outputs = keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(2), name="output")(hidden)
    return keras.Model(inputs, outputs)


def trained(data, checkpoint: EpochCheckpoint | None = None, stop_after: int | None = None):
    """A network and the figures of its epochs; the training is dropped after some."""
    model = network()
    figures = []
    for figure in epochs(model, data, CONFIG, seed=3, checkpoint=checkpoint):
        figures.append(figure)
        if len(figures) == stop_after:
            break
    return [variable.numpy() for variable in model.variables], figures


@pytest.fixture(scope="module")
def undisturbed(data):
    return trained(data)


def assert_equal(one, other) -> None:
    assert one[1] == other[1]
    assert all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))


def file_of(tmp_path: Path, data, stop_after: int = 3) -> Path:
    """What a training leaves that ends after some epochs."""
    trained(data, EpochCheckpoint(tmp_path / "c.npz", every_s=0), stop_after)
    return tmp_path / "c.npz"


def test_a_training_in_two_parts_is_the_training_in_one(tmp_path, data, undisturbed):
    file = file_of(tmp_path, data)
    assert_equal(trained(data, EpochCheckpoint(file)), undisturbed)


def test_it_goes_on_and_does_not_begin_again(tmp_path, data, undisturbed):
    file = file_of(tmp_path, data, stop_after=4)
    with np.load(file) as saved:
        arrays = dict(saved)
    arrays["history"] = np.array('[{"loss": 0.125}, {"loss": 0.25}]')  # two epochs instead of four
    np.savez(file, **arrays)
    weights, figures = trained(data, EpochCheckpoint(file))
    assert figures[:2] == [{"loss": 0.125}, {"loss": 0.25}]
    assert len(figures) == 5
    assert not all(np.array_equal(a, b) for a, b in zip(weights, undisturbed[0], strict=True))


@pytest.mark.parametrize("spoil", ["cut", "flipped", "other network", "other history", "pickle", "empty"])
def test_a_file_that_cannot_be_trusted_is_not_used(tmp_path, data, undisturbed, spoil):
    file = file_of(tmp_path, data)
    content = bytearray(file.read_bytes())
    if spoil == "cut":
        file.write_bytes(content[:-50])
    elif spoil == "flipped":
        content[content.index(b"NUMPY") + 130] ^= 255
        file.write_bytes(content)
    elif spoil == "empty":
        file.write_bytes(b"")
    else:
        with np.load(file) as saved:
            arrays = dict(saved)
        arrays |= {
            "other network": {"0": np.zeros((5, 8), "float32")},
            "other history": {"history": np.array('{"loss": "high"}')},
            "pickle": {"0": np.array([{}], dtype=object)},
        }[spoil]
        np.savez(file, **arrays)
    assert_equal(trained(data, EpochCheckpoint(file)), undisturbed)


def test_short_trainings_write_nothing(tmp_path, data, undisturbed):
    file = tmp_path / "c.npz"
    assert_equal(trained(data, EpochCheckpoint(file, every_s=3600)), undisturbed)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_it_stops_no_training(tmp_path, data, undisturbed):
    assert_equal(trained(data, EpochCheckpoint(tmp_path / "missing" / "c.npz", every_s=0)), undisturbed)


def test_nothing_is_left_of_it(tmp_path, data):
    file = file_of(tmp_path, data)
    assert list(tmp_path.iterdir()) == [file]
    EpochCheckpoint(file).remove()
    assert list(tmp_path.iterdir()) == []
