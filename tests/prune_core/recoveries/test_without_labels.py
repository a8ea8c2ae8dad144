"""Recoveries that see no labels: moments estimated again, layers refitted."""

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import UserError, prune


def of(*inner: L.Layer, shape: tuple[int, ...] = (3,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *inner])


def test_moments_by_hand():
    model = of(L.Dense(1, use_bias=False, name="one"), L.BatchNormalization(name="norm"), L.Dense(1, name="output"))
    model.get_layer("one").kernel.assign([[1.0], [10.0], [0.1]])
    x = np.array([[1, 5, 7], [3, 6, 8]], "float32")  # of the kernel only 10 is left: inputs of the norm are 50 and 60
    masked = prune(model, "weight", sparsity=2 / 3, recovery="batchnorm", data=x).masked
    assert masked.get_layer("norm").moving_mean.numpy() == pytest.approx([55.0])
    assert masked.get_layer("norm").moving_variance.numpy() == pytest.approx([25.0])


def test_moments_of_a_later_layer_are_taken_with_the_earlier_one_renewed():
    keras.utils.set_random_seed(0)
    model = of(
        L.Conv2D(4, 3, name="conv_1"), L.BatchNormalization(name="norm_1"), L.ReLU(), L.Conv2D(3, 3, name="conv_2"),
        L.BatchNormalization(name="norm_2"), L.Flatten(), L.Dense(2), shape=(8, 8, 1),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(2, 3, size=(50, 8, 8, 1)).astype("float32")
    masked = prune(model, "weight", sparsity=0.5, recovery="batchnorm", data=x).masked
    before = keras.Model(masked.inputs, masked.get_layer("conv_2").output)
    inputs = before.predict(x, verbose=0)
    norm = masked.get_layer("norm_2")
    np.testing.assert_allclose(norm.moving_mean.numpy(), inputs.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), inputs.var(axis=(0, 1, 2)), rtol=1e-3)


def test_units_that_are_gone_stay_gone_and_the_shrunk_network_computes_the_same():
    keras.utils.set_random_seed(0)
    model = of(
        L.Conv2D(8, 3, name="conv2d"), L.BatchNormalization(scale=False), L.ReLU(), L.Flatten(),
        L.Dense(6, activation="relu"), L.Dense(2), shape=(6, 6, 1),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(1, 2, size=(40, 6, 6, 1)).astype("float32")
    for recovery in ("batchnorm", "reconstruct", ["reconstruct", "batchnorm"]):
        result = prune(model, "unit", sparsity=0.5, recovery=recovery, data=x)
        assert result.figures["units.conv2d"] == 4
        assert result.figures["shrink_difference"] <= 1e-5


def test_without_batch_normalization_nothing_is_done_and_that_is_said():
    model = of(L.Dense(4, activation="relu"), L.Dense(2))
    result = prune(model, "weight", sparsity=0.5, recovery="batchnorm", data=np.ones((5, 3), "float32"))
    assert "recovery=batchnorm did nothing: the network has no BatchNormalization" in result.warnings


def test_one_unit_refitted_by_hand():
    # The unit answers 2 a + b and keeps the input a alone. Over the samples b = a, so the best answer is 3 a.
    model = of(L.Dense(1, use_bias=False), shape=(2,))
    model.layers[0].kernel.assign([[2.0], [1.0]])
    x = np.array([[1, 1], [2, 2], [-1, -1]], "float32")
    arguments = {"sparsity": 0.5, "prune_output": True, "data": x, "recovery": "reconstruct"}
    assert prune(model, "weight", **arguments, damping=1e-9).model.layers[0].kernel.numpy() == pytest.approx(
        np.array([[3.0], [0.0]])
    )
    # Damping pulls towards the weight as it was: 2 + 6 * 1 / (6 + d), d = 0.5 * (6 + 6) / 2 = 3.
    damped = prune(model, "weight", **arguments, damping=0.5).model.layers[0].kernel.numpy()
    assert damped == pytest.approx(np.array([[2 + 6 / 9], [0.0]]))


def test_a_bias_takes_over_what_a_constant_input_gave():
    model = of(L.Dense(1), shape=(2,))
    model.layers[0].kernel.assign([[2.0], [1.0]])
    x = np.array([[1, 7], [2, 7], [3, 7]], "float32")  # the second input, which is cut, always is 7
    layer = prune(model, "weight", sparsity=0.5, prune_output=True, data=x, recovery="reconstruct").model.layers[0]
    assert layer.kernel.numpy() == pytest.approx(np.array([[2.0], [0.0]]))
    assert layer.bias.numpy() == pytest.approx([7.0], rel=1e-5)


@pytest.mark.parametrize("method", ["weight", "unit"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolutions_are_nearer_to_the_dense_network_than_before(method, padding):
    keras.utils.set_random_seed(1)
    model = of(
        L.Conv2D(6, 3, strides=2, padding=padding, activation="relu"),
        L.Conv2D(5, (2, 3), dilation_rate=(1, 2) if padding == "same" else 1, padding=padding, activation="relu"),
        L.Reshape((-1, 5)), L.Conv1D(6, 2, padding=padding, activation="relu"), L.Flatten(),
        L.Dense(8, activation="relu"), L.Dense(3), shape=(11, 11, 2),
    )  # fmt: skip
    generator = np.random.default_rng(0)  # images made of three patterns: much of what units say, others say too
    x = np.tensordot(generator.normal(size=(300, 3)), generator.normal(size=(3, 11, 11, 2)), 1).astype("float32")
    wanted = model.predict(x, verbose=0)

    def error(recovery: str) -> float:
        pruned = prune(model, method, sparsity=0.5, recovery=recovery, data=x)
        assert pruned.figures["sparsity"] == pytest.approx(0.5, abs=0.05)
        return float(np.mean((pruned.model.predict(x, verbose=0) - wanted) ** 2))

    assert error("reconstruct") < 0.8 * error("none")


def test_labels_are_not_looked_at():
    keras.utils.set_random_seed(0)
    model = of(L.Dense(6, activation="relu"), L.BatchNormalization(), L.Dense(2))
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    arguments = {"sparsity": 0.5, "recovery": ["reconstruct", "batchnorm"]}
    without, with_nonsense = (prune(model, "weight", data=data, **arguments) for data in (x, (x, np.full(40, 9))))
    for one, other in zip(without.model.weights, with_nonsense.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("hold_zeros", [True, False])
def test_a_network_that_was_pruned_before_stays_so(hold_zeros: bool):
    keras.utils.set_random_seed(0)
    model = of(L.Dense(12, activation="relu"), L.Dense(8, activation="relu"), L.Dense(2), shape=(6,))
    x = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    once = prune(model, "weight", sparsity=0.5, prune_output=True).model
    again = prune(once, "weight", sparsity=0.0, recovery="reconstruct", data=x, hold_zeros=hold_zeros).model
    kernels = [(a.kernel.numpy(), b.kernel.numpy()) for a, b in zip(once.layers, again.layers, strict=True)]
    assert any(before.any() and (after[before == 0] != 0).any() for before, after in kernels) != hold_zeros


def test_layers_that_cannot_be_refitted_are_named_and_stay():
    keras.utils.set_random_seed(0)
    model = of(L.DepthwiseConv2D(3, name="deep"), L.Flatten(), L.Dense(2), shape=(5, 5, 2))
    x = np.random.default_rng(0).normal(size=(40, 5, 5, 2)).astype("float32")
    result = prune(model, "weight", sparsity=0.5, recovery="reconstruct", data=x)
    assert any("recovery=reconstruct left deep as they are" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"recovery": "batchnorm"}, "recovery=batchnorm needs training data and there is none: give data=x"),
        ({"recovery": "reconstruct", "damping": 0}, "damping=0 must be a number in (0, 1]"),
        ({"recovery": "reconstruct", "samples": "many"}, "samples='many' must be a whole number >= 1"),
        ({"recovery": "batchnrm"}, "unknown recovery 'batchnrm': did you mean 'batchnorm'"),
        ({"recovery": ["batchnorm", "none"]}, "names 'none' beside others"),
        ({"recovery": ["batchnorm", "batchnorm"]}, "names 'batchnorm' twice"),
        ({"recovery": 3}, "recovery=3 must be the name of a recovery"),
        ({"samples": 3}, "samples has no effect with schedule=one_shot selection=fraction: it belongs to"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    with pytest.raises(UserError) as caught:
        prune(of(L.Dense(4), L.Dense(2)), "weight", sparsity=0.5, **arguments)
    assert sentence in str(caught.value)
