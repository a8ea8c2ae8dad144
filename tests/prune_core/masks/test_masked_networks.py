"""Networks in which Keras hands masks on: relevance, unit pruning and counting treat them as what they are."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose

from prune_core import prune
from prune_core.errors import UserError
from prune_core.measure import count_macs
from prune_core.relevance import propagate
from prune_core.relevance.steps import unroll
from prune_core.scores import SCORES, ScoringContext
from prune_core.weights import prunable_layers

LENGTH = 6


def _words(length: int | None = LENGTH) -> tuple[Any, Any]:
    start = keras.Input((length,), dtype="int32", name="input")
    return start, layers.Embedding(20, 8, mask_zero=True, name="embedding")(start)


def _hidden(x: Any, name: str) -> Any:
    return layers.Dense(6, activation="sigmoid", name=name)(x)


def _averaged(start: Any, x: Any, **options: Any) -> keras.Model:
    x = layers.GlobalAveragePooling1D(name="average")(x, **options)
    return keras.Model(start, layers.Dense(3, name="output")(_hidden(x, "last")))


def embedding(length: int | None = LENGTH) -> keras.Model:
    start, x = _words(length)
    return _averaged(start, _hidden(x, "each"))


def open_length() -> keras.Model:
    return embedding(None)


def sequential() -> keras.Model:
    return keras.Sequential([
        keras.Input((LENGTH,), dtype="int32"),
        layers.Embedding(20, 8, mask_zero=True),
        layers.Dense(6, activation="sigmoid", name="each"),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.GlobalAveragePooling1D(),
        layers.Dense(6, activation="sigmoid", name="last"),
        layers.Dense(3, name="output"),
    ])  # fmt: skip


def masking() -> keras.Model:
    start = keras.Input((LENGTH, 4), name="input")
    return _averaged(start, _hidden(layers.Masking()(start), "each"))


def _two(merge: keras.Layer, *, both: bool) -> keras.Model:
    start, x = _words()
    y = layers.Embedding(20, 8, mask_zero=both)(start)
    return _averaged(start, merge([_hidden(x, "each"), _hidden(y, "other")]))


def nested() -> keras.Model:
    """The mask reaches the average inside at run time only: no call in the inner graph has it."""
    start, x = _words()
    inner = keras.Sequential([keras.Input((LENGTH, 8)), layers.Dense(6, "sigmoid", name="each")], name="inner")
    y = keras.Input((LENGTH, 8))
    block = keras.Model(y, layers.GlobalAveragePooling1D()(inner(y)), name="block")
    return keras.Model(start, layers.Dense(3, name="output")(_hidden(block(x), "last")))


def handed_out() -> keras.Model:
    """The mask comes out of a nested model at run time only."""
    start, x = _words()
    block = keras.Sequential([keras.Input((LENGTH, 8)), layers.Dense(6, "sigmoid", name="each")], name="block")
    return _averaged(start, block(x))


def made_inside() -> keras.Model:
    start = keras.Input((LENGTH,), dtype="int32", name="input")
    inner, x = _words()
    return _averaged(start, keras.Model(inner, _hidden(x, "each"), name="block")(start))


def by_hand() -> keras.Model:
    """The mask is given as the second argument, and made by operations that somebody wrote."""
    start = keras.Input((LENGTH, 4), name="input")
    x = layers.GlobalAveragePooling1D()(_hidden(start, "each"), ops.any(ops.abs(start) > 0, axis=-1))
    return keras.Model(start, layers.Dense(3, name="output")(_hidden(x, "last")))


def tagging() -> keras.Model:
    """The outputs have masks themselves."""
    start, x = _words()
    return keras.Model(start, layers.Dense(3, name="output")(_hidden(_hidden(x, "each"), "last")))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    **{make.__name__: make for make in (embedding, open_length, sequential, masking, nested, handed_out)},
    **{make.__name__: make for make in (made_inside, by_hand, tagging)},
    "added": lambda: _two(layers.Add(), both=True),
    "concatenated": lambda: _two(layers.Concatenate(), both=True),
    "concatenated_half_masked": lambda: _two(layers.Concatenate(), both=False),
}
FEATURES = ("masking", "by_hand")  # the others take indices of words


def _samples(name: str, n: int = 11) -> np.ndarray:
    """Sequences of 1 to 4 places; the last two places are masked in all of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, LENGTH, 4)) if name in FEATURES else rng.integers(1, 20, (n, LENGTH))
    for i, sample in enumerate(x):
        sample[1 + i % 4 :] = 0
    return x.astype(np.float32 if name in FEATURES else np.int32)


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    model = NETWORKS[request.param]()
    model.name = request.param
    return model, _samples(request.param)


@pytest.mark.parametrize("start", ["uniform", "output"])
def test_relevance_is_conserved_and_masked_places_have_none(case: tuple[keras.Model, np.ndarray], start: str) -> None:
    model, x = case
    relevance = propagate(model, x, batch_size=4, start=start)  # the last batch is filled up
    assert relevance.health < 1e-5
    assert relevance.lost == {}
    assert_allclose(relevance.inputs.sum(), 1, atol=1e-5)
    assert_allclose(relevance.channels["last"].sum(), 1, atol=1e-5)
    if model.name != "concatenated_half_masked":  # what one branch masks, the other does not
        assert not relevance.inputs[-2:].any()


def test_the_network_is_run_as_keras_runs_it(case: tuple[keras.Model, np.ndarray]) -> None:
    model, x = case
    _, (output,) = unroll(model, [ops.convert_to_tensor(x)])
    assert_allclose(output, model(x, training=False), rtol=1e-6)


def test_units_go_and_what_is_left_computes_the_same(case: tuple[keras.Model, np.ndarray]) -> None:
    model, x = case
    result = prune(model, "unit", sparsity=0.5, data=x)
    units = {name: count for name, count in result.figures.items() if name.startswith("units.")}
    assert units.pop("units.output") == 3
    assert set(units.values()) == {3}
    assert_allclose(result.model(x), result.masked(x), atol=1e-6)
    assert [warning for warning in result.warnings if "embedding" not in warning] == []


def test_an_average_of_what_is_not_masked_by_hand() -> None:
    start = keras.Input((4, 1), name="input")
    pooled = layers.GlobalAveragePooling1D(name="pool")(layers.Masking(mask_value=-4)(start))
    relevance = propagate(keras.Model(start, pooled), np.array([[[1.0], [3.0], [-4.0], [2.0]]], np.float32))
    assert_allclose(relevance.inputs.ravel(), [1 / 6, 3 / 6, 0, 2 / 6], rtol=1e-6)


def test_masked_places_of_the_outputs_have_no_relevance_by_hand() -> None:
    start = keras.Input((3, 1), name="input")
    tags = layers.Dense(2, name="output")(layers.Masking()(start))
    x = np.array([[[1.0], [0.0], [0.0]], [[1.0], [-1.0], [2.0]]], np.float32)
    relevance = propagate(keras.Model(start, tags), x)
    assert_allclose(relevance.inputs.ravel(), [(1 + 1 / 3) / 2, 1 / 6, 1 / 6], rtol=1e-6)
    assert_allclose(relevance.channels["output"], [1 / 2, 1 / 2], rtol=1e-6)


def test_a_sample_that_is_masked_throughout_is_named() -> None:
    x = _samples("embedding")
    x[7] = 0
    with pytest.raises(UserError, match=r"not finite for 1 of 11 samples, such as number 7: .*masked"):
        propagate(embedding(), x, batch_size=4)


def _with_a_gate() -> keras.Model:
    start = keras.Input((LENGTH, 4), name="input")
    gate = layers.Dense(1, activation="sigmoid", name="gate")(start)
    return _averaged(start, _hidden(start, "each"), mask=ops.squeeze(gate, -1) > 0.01)


def test_a_layer_that_only_makes_a_mask_has_no_relevance_and_is_kept() -> None:
    model, x = _with_a_gate(), _samples("masking")
    scope = prunable_layers(model)
    assert [layer.name for layer in scope if layer.is_output] == ["output"]
    scores = SCORES.get("importance")(ScoringContext(model, scope, "unit", x, None, seed=0))
    assert scores["gate"].tolist() == [0]
    assert_allclose(scores["each"].sum(), 1, atol=1e-5)
    result = prune(model, "unit", sparsity=0.5)
    assert result.figures["units.gate"] == 1
    assert result.figures["units.each"] == 3
    assert "gate was kept whole: a mask is made of it" in result.warnings


def test_units_that_are_a_mask_themselves_stay() -> None:
    start = keras.Input((LENGTH, 4), name="input")
    gate = layers.Dense(LENGTH, activation="sigmoid", name="gate")(layers.Flatten()(start))
    result = prune(_averaged(start, _hidden(start, "each"), mask=gate), "unit", sparsity=0.5)
    assert result.figures["units.gate"] == LENGTH
    assert "gate was kept whole: a mask is made of it" in result.warnings


def test_channels_that_decide_a_mask_stay() -> None:
    start = keras.Input((LENGTH, 4), name="input")
    x = layers.Masking(name="masking")(layers.Dense(6, activation="relu", name="before")(start))
    result = prune(_averaged(start, _hidden(x, "each")), "unit", sparsity=0.5)
    assert result.figures["units.before"] == 6
    assert result.figures["units.each"] == 3
    assert any(warning.startswith("before was kept whole: a mask is made of it") for warning in result.warnings)


def test_layers_that_take_a_mask_are_named_themselves_if_they_have_no_rule() -> None:
    start, x = _words()
    model = keras.Model(start, layers.Dense(3, name="output")(layers.LSTM(4, name="memory")(_hidden(x, "each"))))
    with pytest.raises(UserError, match=r"'memory' \(LSTM\) has no relevance rule"):
        propagate(model, _samples("embedding"))
    warnings = prune(model, "unit", sparsity=0.5, data=_samples("embedding")).warnings
    assert any(warning.startswith("memory was kept whole") for warning in warnings)


def test_multiplications_of_a_nested_model_with_a_mask_are_counted() -> None:
    assert count_macs(nested()) == 6 * 8 * LENGTH + 6 * 6 + 6 * 3
