"""Scores: literal values on tiny networks, shapes on layers of every kind, refusals."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from prune_core.errors import UserError
from prune_core.scores import SCORES, ScoringContext, kernel_columns, unit_axis
from prune_core.weights import prunable_layers


def _context(model: keras.Model, granularity: str, **changes: Any) -> ScoringContext:
    fields = {"layers": prunable_layers(model), "x": None, "y": None, "seed": 0, **changes}
    return ScoringContext(model=model, granularity=granularity, **fields)


@pytest.fixture(scope="module")
def tiny() -> keras.Model:
    """Two inputs, two hidden units with kernels (3, -4) and (0, 1), one output."""
    model = keras.Sequential(
        [keras.Input((2,), name="input"), layers.Dense(2, name="dense_1"), layers.Dense(1, name="output")]
    )
    model.layers[0].set_weights([np.array([[3.0, 0.0], [-4.0, 1.0]]), np.array([-9.0, 0.0])])
    model.layers[1].set_weights([np.array([[1.0], [-2.0]]), np.array([0.5])])
    return model


@pytest.fixture(scope="module")
def all_kinds() -> keras.Model:
    """Every kind of kernel: (units, inputs) differ everywhere, so that a wrong axis shows."""
    start = keras.Input((8, 8, 3), name="input")
    x = layers.Conv2D(4, 3, name="conv")(start)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 2, name="separable")(x)
    x = layers.Conv2DTranspose(7, 2, name="transpose")(x)
    x = layers.Dense(6, name="output")(layers.Flatten(name="flatten")(x))
    return keras.Model(start, x)


UNITS = {"conv": 4, "separable/pointwise_kernel": 5, "transpose": 7, "output": 6}


def test_magnitude_is_the_absolute_value(tiny: keras.Model) -> None:
    scores = SCORES.get("magnitude")(_context(tiny, "weight"))
    assert list(scores) == ["dense_1/kernel", "output/kernel"]
    assert scores["dense_1/kernel"].tolist() == [[3.0, 0.0], [4.0, 1.0]]


def test_biases_are_scored_only_when_asked(tiny: keras.Model) -> None:
    scores = SCORES.get("magnitude")(_context(tiny, "weight", include_biases=True))
    assert list(scores) == ["dense_1/kernel", "dense_1/bias", "output/kernel", "output/bias"]
    assert scores["dense_1/bias"].tolist() == [9.0, 0.0]


@pytest.mark.parametrize(("name", "expected"), [("l1_norm", [7.0, 1.0]), ("l2_norm", [5.0, 1.0])])
def test_unit_norms_are_over_columns_without_the_bias(tiny: keras.Model, name: str, expected: list[float]) -> None:
    assert SCORES.get(name)(_context(tiny, "unit"))["dense_1"].tolist() == expected


def test_the_units_of_a_transposed_convolution_are_on_the_second_last_axis(all_kinds: keras.Model) -> None:
    layer = next(layer for layer in prunable_layers(all_kinds) if layer.name == "transpose")
    assert unit_axis(layer) == -2
    column = kernel_columns(layer)
    assert column is not None
    kernel = layer.kernel.numpy()  # (2, 2, 7 units, 5 inputs)
    assert sorted(column[:, 3]) == sorted(kernel[:, :, 3, :].ravel().astype(np.float64))


@pytest.mark.parametrize("granularity", ["weight", "unit"])
def test_random_depends_on_seed_and_layer_alone(all_kinds: keras.Model, granularity: str) -> None:
    random = SCORES.get("random")
    scope = prunable_layers(all_kinds)
    first = random(_context(all_kinds, granularity))
    np.random.random(10)  # the process did other work in between
    again = random(_context(all_kinds, granularity, layers=scope[::-1]))
    alone = random(_context(all_kinds, granularity, layers=scope[-1:]))
    other = random(_context(all_kinds, granularity, seed=1))
    assert {name: score.tolist() for name, score in first.items()} == {n: s.tolist() for n, s in again.items()}
    assert all(np.array_equal(first[name], score) for name, score in alone.items())
    assert not any(np.array_equal(first[name], score) for name, score in other.items())
    values = [score.ravel()[:4].tolist() for score in first.values()]
    assert all(a != b for i, a in enumerate(values) for b in values[:i])


def test_random_covers_biases_when_asked(tiny: keras.Model) -> None:
    scores = SCORES.get("random")(_context(tiny, "weight", include_biases=True))
    assert scores["dense_1/bias"].shape == (2,)


def test_a_score_refuses_a_granularity_it_has_not(tiny: keras.Model) -> None:
    with pytest.raises(UserError, match="score=magnitude cannot score granularity=unit: use granularity=weight"):
        SCORES.get("magnitude")(_context(tiny, "unit"))


def test_a_score_refuses_options_it_does_not_know(tiny: keras.Model) -> None:
    with pytest.raises(UserError, match="'order' is not an option of score=l2_norm"):
        SCORES.get("l2_norm")(_context(tiny, "unit", options={"order": 3}))


@pytest.mark.parametrize("x", [None, np.zeros((0, 2), np.float32)])
def test_importance_needs_data(tiny: keras.Model, x: np.ndarray | None) -> None:
    with pytest.raises(UserError, match="score=importance needs training data"):
        SCORES.get("importance")(_context(tiny, "unit", x=x))
