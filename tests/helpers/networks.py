"""Networks that exercise every shrinking rule, and the silencing and comparing of them."""

import keras
import numpy as np
from keras import layers

from prune_core.graph import channel_classes, unit_masks
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
    assert np.abs(want).max() > 1e-3, "the outputs are nearly zero, so that agreement would mean nothing"
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
