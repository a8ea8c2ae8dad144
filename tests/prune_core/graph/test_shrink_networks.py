"""Whole networks, shrunk by a random part of their units, compute the same and are as small as they should be."""

from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from prune_core.graph import shrink
from prune_core.weights import weight_variables
from tests.helpers.networks import agree, branches, cnn, mlp, randomize, residual, run, sequence, shared, silence

ZOO: list[Callable[[], keras.Model]] = [mlp, cnn, residual, branches, shared, sequence]


@pytest.mark.parametrize("build", ZOO, ids=lambda build: build.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_removing_silent_units_changes_nothing_but_the_size(build: Callable[[], keras.Model], seed: int) -> None:
    keras.utils.set_random_seed(seed)
    model = build()
    randomize(model, seed)
    left = silence(model, 0.5, seed)
    before = [weight.numpy() for weight in model.weights]
    result = shrink(model)
    assert {name: units.tolist() for name, units in result.kept.items()} == {k: v.tolist() for k, v in left.items()}
    assert result.model.count_params() < model.count_params()
    assert result.max_difference <= 1e-5
    agree(model, result.model)
    assert list(weight_variables(result.model)) == list(weight_variables(model))
    assert all((weight.numpy() == old).all() for weight, old in zip(model.weights, before, strict=True))
    again = shrink(result.model)
    assert again.model.count_params() == result.model.count_params(), "nothing was left to remove"


@pytest.mark.parametrize("build", [residual, branches, shared], ids=lambda build: build.__name__)
def test_the_result_is_saved_and_loaded_like_any_model(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    model = build()
    randomize(model, 1)
    silence(model, 0.4, 1)
    small = shrink(model).model
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert (run(loaded) == run(small)).all()
    assert list(weight_variables(loaded)) == list(weight_variables(small))


APPLICATIONS = [
    ("MobileNetV2", 32), ("VGG16", 32), ("ResNet50", 32), ("MobileNetV3Small", 32), ("EfficientNetB0", 32),
    ("DenseNet121", 32), ("Xception", 75), ("InceptionV3", 75),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"),
    [pytest.param(*case, marks=[] if case[0] == "MobileNetV2" else pytest.mark.slow) for case in APPLICATIONS],
)
def test_well_known_architectures_shrink_by_all_that_was_silenced(name: str, size: int) -> None:
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    model = build(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None, **options)
    randomize(model, 0)
    left = silence(model, 0.4, 0)
    result = shrink(model)
    assert {name: units.tolist() for name, units in result.kept.items()} == {k: v.tolist() for k, v in left.items()}
    assert result.model.count_params() < 0.5 * model.count_params()
    agree(model, result.model)
