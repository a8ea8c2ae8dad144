"""What zeros in place cost, found without Keras, is what the codec says of the real masked network."""

import subprocess
import sys

import keras
import numpy as np

import prune_core
from prune_core.codec import size_bytes
from sweeps.reporting.masked_size import masked_bytes


def network() -> keras.Model:
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(6, 3, activation="relu", name="convolution"),
        keras.layers.Flatten(),
        keras.layers.Dense(20, activation="relu", name="hidden"),
        keras.layers.Dense(10, name="output"),
    ]
    return keras.Sequential(layers)


def test_it_is_the_size_of_the_masked_network(tmp_path):
    model = network()
    model.save(tmp_path / "model.keras")
    pruned = prune_core.prune(model, "unit", sparsity=0.5)
    assert size_bytes(pruned.model) < size_bytes(pruned.masked) < size_bytes(model)
    size = masked_bytes(tmp_path / "model.keras", size_bytes(model), pruned.masks)
    assert size == size_bytes(pruned.masked)


def test_what_cannot_be_known_is_none(tmp_path):
    network().save(tmp_path / "model.keras")
    masks = {"elsewhere/kernel": np.zeros((3, 3), bool)}
    assert masked_bytes(tmp_path / "model.keras", 1000, masks) is None
    assert masked_bytes(tmp_path / "gone.keras", 1000, {}) is None


def test_it_needs_no_keras():
    code = "import sys, sweeps.reporting.masked_size; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
