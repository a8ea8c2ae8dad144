"""Sparse training by relaxed variable splitting."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from prune_core import models, training
from prune_core.errors import UserError
from prune_core.schedules.rvsm import Rvsm, hard_threshold, threshold
from prune_core.weights import weight_variables

CONFIG = {"epochs": 3, "batch_size": 64, "learning_rate": 0.003}


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32).reshape(-1, 8, 8, 1), y.astype(np.int64)
    return SimpleNamespace(
        x_train=x[:1000], y_train=y[:1000], x_val=x[1000:1400], y_val=y[1000:1400], x_test=x[1400:], y_test=y[1400:]
    )


def perceptron(hidden=(64,)):
    return models.build("m", {"builder": "mlp", "hidden": list(hidden)}, (8, 8, 1), 10, seed=0)


def trained(digits, lambda_, beta=10.0, seed=0, epochs=4, **scope):
    model = perceptron()
    rvsm = Rvsm(model, lambda_, beta, **scope)
    figures = list(rvsm.epochs(digits, {**CONFIG, "epochs": epochs}, seed))
    return model, figures, rvsm.result(digits.x_test, digits.y_test)


def test_the_threshold_is_where_zeroing_pays():
    # lambda = 2, beta = 1: a weight of 2 costs 2 whether it is kept (lambda) or zeroed (beta / 2 * 2 ** 2).
    assert threshold(2.0, 1.0) == 2.0
    assert hard_threshold(np.array([-3.0, -2.0, 0.5, 2.5]), 2.0).numpy().tolist() == [-3.0, 0.0, 0.0, 2.5]


@pytest.mark.parametrize("w", [-2.0, -0.7, -0.1, 0.0, 0.3, 0.63, 0.64, 5.0])
def test_u_minimises_the_split_objective(w):
    lambda_, beta = 0.2, 1.0
    candidates = np.append(np.linspace(-6, 6, 2401), [w, 0.0])
    costs = lambda_ * (np.abs(candidates) > 1e-9) + beta / 2 * (w - candidates) ** 2
    u = float(hard_threshold(np.array([w]), threshold(lambda_, beta)).numpy()[0])
    assert lambda_ * (u != 0) + beta / 2 * (w - u) ** 2 <= costs.min() + 1e-12


def test_one_step_by_hand(digits):
    # One epoch of one SGD step: u = H(w), then w -> w - rate * gradient(u) - rate * beta * (w - u).
    x, y = digits.x_train[:40], digits.y_train[:40]
    few = SimpleNamespace(x_train=x, y_train=y, x_val=x, y_val=y)
    model = perceptron(hidden=())
    w, bias = (values.astype(np.float64) for values in model.get_weights())
    lambda_, beta, rate = 0.02, 2.0, 0.1
    limit = np.sqrt(2 * lambda_ / beta)
    u = np.where(np.abs(w) > limit, w, 0)
    flat = x.reshape(40, -1).astype(np.float64)
    exponentials = np.exp(flat @ u + bias)
    errors = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(10)[y]
    expected = w - rate * flat.T @ errors / 40 - rate * beta * (w - u)

    rvsm = Rvsm(model, lambda_, beta, include_output=True)
    list(rvsm.epochs(few, {"epochs": 1, "learning_rate": rate, "optimizer": "sgd"}, 0))
    result = rvsm.result(x, y)
    np.testing.assert_allclose(result.w["output/kernel"], expected, atol=1e-6)
    assert 0.1 < np.mean(u == 0) < 0.9
    np.testing.assert_allclose(result.u["output/kernel"], np.where(np.abs(expected) > limit, expected, 0), atol=1e-6)


def test_without_a_penalty_it_is_plain_training(digits):
    model, plain = perceptron(), perceptron()
    list(Rvsm(model, 0.0, 10.0).epochs(digits, CONFIG, 0))
    training.train(plain, digits, CONFIG, 0)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_most_weights_go_and_the_accuracy_stays(digits):
    _, _, plain = trained(digits, 0.0, epochs=25)
    _, figures, result = trained(digits, 0.45, epochs=25)
    mask = result.masks["dense_1/kernel"]
    assert mask.mean() < 0.25
    assert figures[-1]["sparsity"] == pytest.approx(1 - mask.mean())
    assert result.accuracy_u > plain.accuracy_u - 0.03
    assert result.accuracy_reversed < 0.5


def test_the_delivered_network_is_u(digits):
    model, _, result = trained(digits, 0.2)
    kernel = weight_variables(model)["dense_1/kernel"].numpy()
    np.testing.assert_array_equal(kernel, result.u["dense_1/kernel"])
    np.testing.assert_array_equal(kernel != 0, result.masks["dense_1/kernel"])
    assert training.evaluate(model, digits.x_test, digits.y_test).accuracy == result.accuracy_u


def test_a_larger_penalty_leaves_fewer_weights(digits):
    sparsities = [trained(digits, lambda_)[1][-1]["sparsity"] for lambda_ in (0.02, 0.4)]
    assert sparsities[0] < sparsities[1]


def test_the_output_layer_is_left_whole_unless_asked(digits):
    kept = Rvsm(perceptron(), 0.2, 10.0)
    asked = Rvsm(perceptron(), 0.2, 10.0, include_output=True)
    assert [layer.name for layer in kept.layers] == ["dense_1"]
    assert [layer.name for layer in asked.layers] == ["dense_1", "output"]


def test_the_seed_alone_determines_the_result(digits):
    def weights(seed):
        return trained(digits, 0.2, seed=seed)[0].get_weights()

    first = [w.copy() for w in weights(1)]
    keras.utils.set_random_seed(9)
    assert all(np.array_equal(a, b) for a, b in zip(first, weights(1), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, weights(2), strict=True))


def test_a_coupling_that_overshoots_is_refused(digits):
    with pytest.raises(UserError, match="lower beta"):
        next(Rvsm(perceptron(), 0.1, 400.0).epochs(digits, CONFIG, 0))
