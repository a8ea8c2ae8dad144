"""Pruning in several steps."""

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import UserError, prune
from prune_core.pipeline import before_transforms
from prune_core.schedules.iterative import share_at
from prune_core.spec import MethodSpec

TRAINING = {"epochs": 1, "batch_size": 32}


def mlp() -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [L.Dense(20, activation="relu", name="dense_1"), L.Dense(10, activation="relu", name="dense_2")]
    return keras.Sequential([keras.Input((16,)), *hidden, L.Dense(4, name="output")])


def samples():
    x = np.random.default_rng(0).normal(size=(96, 16)).astype("float32")
    return x, np.argmax(x[:, :4], axis=1)


def test_shares_by_hand():
    assert [share_at(t, "linear") for t in (0.25, 0.5, 1.0)] == [0.25, 0.5, 1.0]
    assert [share_at(t, "cubic") for t in (0.5, 1.0)] == [0.875, 1.0]


def steps_of(spec: MethodSpec):
    """(note, sparsity) of every step, and the result."""
    steps = before_transforms(mlp(), spec, data=samples(), training=TRAINING)
    seen = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return seen, end.value
        seen.append((step.fraction, step.note, step.metrics.get("sparsity")))


@pytest.mark.parametrize("curve", ["cubic", "linear"])
@pytest.mark.parametrize("recovery", ["none", "finetune", ["batchnorm", "finetune"], "reconstruct"])
def test_each_step_reaches_its_share_and_the_last_one_the_whole(curve, recovery):
    spec = MethodSpec(schedule="iterative", steps=4, curve=curve, recovery=recovery, sparsity=0.8)
    seen, result = steps_of(spec)
    after_pruning = [sparsity for _, note, sparsity in seen if note.endswith("pruned")]
    wanted = [0.8 * share_at(step / 4, curve) for step in (1, 2, 3, 4)]
    assert after_pruning == pytest.approx(wanted, abs=0.006)
    assert result.figures["sparsity"] == pytest.approx(0.8, abs=0.003)
    fractions = [fraction for fraction, _, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1
    kernels = {layer.name: layer.kernel.numpy() for layer in result.masked.layers if hasattr(layer, "kernel")}
    assert not any(kernels[path.split("/")[0]][~mask].any() for path, mask in result.masks.items())


def test_what_is_removed_in_one_step_stays_removed():
    masks = []
    for steps in (1, 2):
        spec = MethodSpec(schedule="iterative", steps=2, curve="linear", recovery="finetune", sparsity=0.8)
        generator = before_transforms(mlp(), spec, data=samples(), training=TRAINING)
        pruned = 0
        for step in generator:
            pruned += step.note.endswith("pruned")
            if pruned == steps:
                break
        masks.append(generator.gi_frame.f_locals["pruning"].masks)
    assert not any((late & ~early).any() for early, late in zip(masks[0].values(), masks[1].values(), strict=True))
    assert sum(mask.sum() for mask in masks[1].values()) < sum(mask.sum() for mask in masks[0].values())


def test_one_step_is_one_shot():
    once = prune(mlp(), "weight", sparsity=0.7, recovery="finetune", data=samples(), training=TRAINING)
    stepped = prune(
        mlp(),
        "weight",
        sparsity=0.7,
        recovery="finetune",
        data=samples(),
        training=TRAINING,
        schedule="iterative",
        steps=1,
    )
    for one, other in zip(once.model.weights, stepped.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("unit", {"sparsity": 0.6}),
        ("unit", {"sparsity": [0.6, 0.3]}),
        ("unit", {"sparsity": 0.6, "selection": "global"}),
        ("importance", {"threshold": 0.8}),
        ("threshold", {"threshold": 0.2}),
    ],
)
def test_it_goes_with_every_selection_and_granularity(method, parameters):
    result = prune(mlp(), method, schedule="iterative", steps=3, data=samples(), **parameters)
    assert result.figures["sparsity"] > 0.2
    assert result.model.output_shape == (None, 4)
    if "sparsity" in parameters and "selection" not in parameters:
        shares = parameters["sparsity"] if isinstance(parameters["sparsity"], list) else [0.6, 0.6]
        assert result.figures["units.dense_1"] == 20 - int(shares[0] * 20 + 1e-9)
        assert result.figures["units.dense_2"] == 10 - int(shares[1] * 10 + 1e-9)


def test_the_same_again_is_the_same():
    arguments = {"sparsity": 0.7, "schedule": "iterative", "steps": 2, "recovery": "finetune", "seed": 3}
    first, second = (prune(mlp(), "weight", data=samples(), training=TRAINING, **arguments) for _ in range(2))
    assert all(np.array_equal(first.masks[path], second.masks[path]) for path in first.masks)
    for one, other in zip(first.model.weights, second.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"steps": 0}, "steps=0 must be a whole number >= 1"),
        ({"steps": 2.5}, "steps=2.5 must be a whole number >= 1"),
        ({}, "steps is missing: schedule=iterative selection=fraction needs it"),
        ({"steps": 3, "curve": "cubik"}, "curve='cubik' is not one of its values: did you mean 'cubic'"),
        ({"steps": 3, "lambda": 1.0}, "lambda has no effect with schedule=iterative selection=fraction: it belongs to"),
    ],
)
def test_mistakes_are_one_sentence(parameters, sentence):
    with pytest.raises(UserError) as caught:
        prune(mlp(), "weight", sparsity=0.5, schedule="iterative", **parameters)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
