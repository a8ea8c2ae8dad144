"""One sparsity a layer: each loses its own share, coupled layers the largest of theirs."""

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import MethodSpec, UserError, prune


def mlp() -> keras.Model:
    keras.utils.set_random_seed(0)
    hidden = [L.Dense(20, activation="relu", name="dense_1"), L.Dense(12, activation="relu", name="dense_2")]
    return keras.Sequential([keras.Input((16,)), *hidden, L.Dense(10, name="output")])


def residual() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    left = L.Dense(10, name="left")(inputs)
    right = L.Dense(10, name="right")(inputs)
    alone = L.Dense(8, name="alone")(L.ReLU()(L.Add()([left, right])))
    return keras.Model(inputs, L.Dense(3, name="output")(L.ReLU()(alone)))


@pytest.mark.parametrize(("prune_output", "sparsity"), [(False, [0.5, 0.0]), (True, [0.25, 0.5, 0.1])])
def test_each_layer_loses_its_own_share_of_weights(prune_output: bool, sparsity: list[float]):
    result = prune(mlp(), "weight", sparsity=sparsity, prune_output=prune_output)
    assert [np.mean(~mask) for mask in result.masks.values()] == pytest.approx(sparsity, abs=0.01)
    assert result.figures["sparsity.dense_2"] == sparsity[1]


def test_each_layer_loses_its_own_share_of_units():
    figures = prune(mlp(), "unit", sparsity=(0.25, 0.5)).figures
    assert (figures["units.dense_1"], figures["units.dense_2"]) == (15, 6)


def test_biases_go_with_the_share_of_their_layer():
    masks = prune(mlp(), "weight", sparsity=[0.5, 0.0], include_biases=True).masks
    assert (~masks["dense_1/bias"]).sum() == 10
    assert masks["dense_2/bias"].all()


def test_layers_that_lose_units_together_lose_the_largest_share():
    figures = prune(residual(), "unit", sparsity=[0.2, 0.6, 0.0]).figures
    assert (figures["units.left"], figures["units.right"], figures["units.alone"]) == (4, 4, 8)


def test_one_number_is_that_number_for_every_layer():
    same, each = (prune(mlp(), "weight", sparsity=sparsity).masks for sparsity in (0.3, [0.3, 0.3]))
    assert all(np.array_equal(same[path], each[path]) for path in same)


def test_nothing_asked_for_is_no_surprise():
    assert not prune(mlp(), "weight", sparsity=[0.0, 0.0]).warnings
    assert "nothing was pruned" in prune(mlp(), "weight", sparsity=[0.0, 1e-9]).warnings


def test_a_spec_says_it_as_a_list():
    assert MethodSpec(sparsity=[np.float64(0.5), 0]).parameters()["sparsity"] == [0.5, 0]


@pytest.mark.parametrize(
    ("sparsity", "sentence"),
    [
        ([0.5], "sparsity has 1 fractions, but the network has 2 layers to prune (dense_1, dense_2): give one a layer"),
        ([0.5, 1.0], "sparsity=[0.5, 1.0] must be a number in [0, 1), or a list of them"),
        ([0.5, None], "must be a number in [0, 1), or a list"),
        ([], "sparsity=[] must be"),
        ("half", "sparsity='half' must be a number in [0, 1)"),
    ],
)
def test_mistakes_are_one_sentence(sparsity: object, sentence: str):
    with pytest.raises(UserError) as caught:
        prune(mlp(), "weight", sparsity=sparsity)
    assert sentence in str(caught.value)
