"""Estimates of how long work takes, before anything has run."""

import keras
import numpy as np
import pytest

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import guessed_seconds, make_plan
from sweeps.specs import Plan

HOUR = 3600


def plan(*overrides: str) -> Plan:
    return make_plan(settings_of(compose(overrides)))


def test_the_large_comparison_takes_hours_and_its_quick_look_minutes() -> None:
    whole, quick = plan("experiment=all_methods"), plan("experiment=all_methods", "debug=quick")
    assert HOUR < sum(guessed_seconds(work) for work in whole) < 24 * HOUR
    assert sum(guessed_seconds(work) for work in quick) < 0.2 * HOUR


@pytest.mark.parametrize(("model", "measured"), [("mlp_1000_1000_500_200", 393), ("cnn_32_64_1024", 3 * 79)])
def test_a_dense_network_takes_about_what_was_measured(model: str, measured: float) -> None:
    epochs = 30 if model.startswith("mlp") else 3
    (baseline,) = plan("dataset=mnist", f"model={model}", f"training.epochs={epochs}").baselines
    assert measured / 2 < guessed_seconds(baseline) < measured * 2


def test_what_trains_takes_longer() -> None:
    overrides = ["dataset=mnist", "model=lenet_5", "training.epochs=6", "training.finetune.epochs=2"]
    plain, tuned = map(
        guessed_seconds, plan(*overrides, "method=weight", "sparsities=[0.5]", "recovery=[none,finetune]").trials
    )
    (scored,) = map(guessed_seconds, plan(*overrides, "thresholds=[0.5]").trials)
    (rvsm,) = map(guessed_seconds, plan(*overrides, "method=rvsm", "methods.rvsm.grid.lambda=[1e-4]").trials)
    assert plain < scored < tuned < rvsm
    assert (rvsm - plain) == pytest.approx(3 * (tuned - plain))


def test_a_search_takes_as_long_as_its_trials() -> None:
    (search,) = plan("method=weight", "search=optuna", "search.n_samples=7", "dataset=digits").searches
    (trial,) = plan("method=weight", "sparsities=[0.5]", "dataset=digits").trials
    assert guessed_seconds(search) == pytest.approx(7 * guessed_seconds(trial))


def test_a_network_from_a_file_is_not_guessed(tmp_path) -> None:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)]).save(tmp_path / "net.keras")
    x, y = np.zeros((20, 4), np.float32), np.arange(20) % 2
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    own = [f"models.keras_file.path={tmp_path}/net.keras", "dataset=npz", f"datasets.npz.path={tmp_path}/data.npz"]
    for work in plan("method=weight", "model=keras_file", *own):
        assert guessed_seconds(work) is None
