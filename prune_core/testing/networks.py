"""Small networks and labelled samples that the suites work on."""

from functools import cache

import keras
import numpy as np
from keras import layers

from prune_core.weights import weight_variables

INPUT_SHAPE = (8, 8, 1)
CLASSES = 4


def mlp() -> keras.Model:
    """Two hidden layers of 20 and 12 units."""
    return _randomized(
        keras.Sequential(
            [
                keras.Input(INPUT_SHAPE),
                layers.Flatten(name="flatten"),
                layers.Dense(20, activation="relu", name="dense_1"),
                layers.Dense(12, activation="relu", name="dense_2"),
                layers.Dense(CLASSES, name="output"),
            ],
            name="mlp",
        )
    )


def cnn() -> keras.Model:
    """Convolutions, batch normalization, pooling, dropout, and a softmax at the end."""
    return _randomized(
        keras.Sequential(
            [
                keras.Input(INPUT_SHAPE),
                layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv_1"),
                layers.BatchNormalization(name="norm"),
                layers.ReLU(name="relu"),
                layers.MaxPooling2D(name="pool"),
                layers.Conv2D(6, 3, activation="relu", name="conv_2"),
                layers.Flatten(name="flatten"),
                layers.Dropout(0.3, name="dropout"),
                layers.Dense(16, activation="relu", name="dense_1"),
                layers.Dense(CLASSES, activation="softmax", name="output"),
            ],
            name="cnn",
        )
    )


def every_kernel() -> keras.Model:
    """Every kind of kernel: depthwise, separable, transposed. All counts of inputs and units differ."""
    start = keras.Input(INPUT_SHAPE, name="input")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 2, activation="relu", name="separable")(x)
    x = layers.Conv2DTranspose(7, 2, activation="relu", name="transpose")(x)
    x = layers.Dense(CLASSES, name="output")(layers.Flatten(name="flatten")(x))
    return _randomized(keras.Model(start, x, name="every_kernel"))


@cache
def samples() -> tuple[np.ndarray, np.ndarray]:
    """(x, y): 96 noisy images of four blobs, float32 (96, 8, 8, 1) in [0, 1], and their classes, int64 (96,)."""
    generator = np.random.default_rng(0)
    y = np.arange(96) % CLASSES
    x = 0.3 * generator.random((96, *INPUT_SHAPE), dtype=np.float32)
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += np.float32(0.6)
    return x, y


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """{weight path: a copy of its values}."""
    return {path: variable.numpy().copy() for path, variable in weight_variables(model).items()}


def outputs_of(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Outputs in inference mode, (samples, ...)."""
    return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))


def same_bits(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
    """Whether two nests of arrays have the same names and the same values, to the last bit."""
    return some.keys() == others.keys() and all(
        (array.dtype, array.shape, array.tobytes()) == (others[name].dtype, others[name].shape, others[name].tobytes())
        for name, array in some.items()
    )


def _randomized(model: keras.Model) -> keras.Model:
    """Values that leave no weight at 0 or 1 by chance, the same in every process."""
    generator = np.random.default_rng(1)
    for path, variable in weight_variables(model).items():
        fan_in = int(np.prod(variable.shape[:-1])) or 1
        values = generator.normal(0, max(0.1, (2 / fan_in) ** 0.5), tuple(variable.shape))
        variable.assign(np.abs(values) + 0.5 if path.endswith(("gamma", "variance")) else values)
    return model
