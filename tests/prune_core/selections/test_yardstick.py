"""Published figures reached on a public network, where its file and MNIST are on this machine.

The network is the 784-40-20-10 perceptron without biases on which WoodFisher and CHITA print their tables. Its weights
are not part of this repository: PRUNE_YARDSTICK names the file with kernel_1, kernel_2 and kernel_3.
"""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from keras import layers as L

from prune_core import prune
from prune_core.data import load
from sweeps.config.storage import storage_settings

ROOT = Path(__file__).parents[3]
WEIGHTS = Path(os.environ.get("PRUNE_YARDSTICK", ROOT.parent / "shared" / "yardsticks" / "mlpnet.npz"))
CACHE = storage_settings({"data": None, "root": "outputs"}).data
pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file() or not (CACHE / "mnist" / "t10k-images-idx3-ubyte").is_file(),
    reason="the public network (PRUNE_YARDSTICK) or MNIST is not on this machine",
)
SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
# One seed, nothing tuned on the test images; the row of global magnitude is published, too.
ROWS = [
    ({"selection": "fraction"}, (89.7, 56.0, 46.0, 29.2, 15.6), 0.05),
    ({"selection": "global"}, (93.93, 92.89, 90.30, 83.64, 32.25), 0.05),
    ({"selection": "erk"}, (93.9, 91.6, 76.6, 66.8, 25.8), 0.1),
    ({"selection": "global", "score": "lamp"}, (93.9, 93.0, 90.3, 83.9, 58.1), 0.1),
]


@pytest.fixture(scope="module")
def mnist():
    config = yaml.safe_load((ROOT / "conf" / "dataset" / "mnist.yaml").read_text())
    return load("mnist", config, CACHE)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    hidden = [L.Dense(40, activation="relu", use_bias=False), L.Dense(20, activation="relu", use_bias=False)]
    model = keras.Sequential([keras.Input((28, 28, 1)), L.Flatten(), *hidden, L.Dense(10, use_bias=False)])
    with np.load(WEIGHTS) as weights:
        model.set_weights([weights[f"kernel_{number}"] for number in (1, 2, 3)])
    return model


def scaled(x: np.ndarray) -> np.ndarray:
    return ((x - 0.1307) / 0.3081).astype(np.float32)


def percent_right(model: keras.Model, mnist) -> float:
    answers = model.predict(scaled(mnist.x_test), batch_size=2000, verbose=0)
    return 100 * float(np.mean(np.argmax(answers, axis=-1) == mnist.y_test))


@pytest.mark.parametrize(("axes", "published", "within"), ROWS, ids=[str(axes) for axes, _, _ in ROWS])
def test_selections_reach_their_row(axes, published, within, network, mnist):
    found = [
        percent_right(prune(network, "weight", sparsity=sparsity, prune_output=True, **axes).model, mnist)
        for sparsity in SPARSITIES
    ]
    assert found == pytest.approx(published, abs=within + 0.005)


@pytest.mark.parametrize(
    ("sparsity", "steps", "at_least"),
    [(0.95, 1, 90.0), (0.98, 1, 79.5), pytest.param(0.98, 10, 83.0, marks=pytest.mark.slow)],
)
def test_refitted_layers_reach_theirs(sparsity, steps, at_least, network, mnist):
    axes = {"selection": "global", "score": "lamp", "schedule": "iterative", "steps": steps}
    pruned = prune(
        network,
        "weight",
        sparsity=sparsity,
        recovery="reconstruct",
        data=scaled(mnist.x_train),
        prune_output=True,
        **axes,
    )
    assert percent_right(pruned.model, mnist) >= at_least
