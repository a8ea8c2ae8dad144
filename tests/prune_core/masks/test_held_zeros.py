"""What an earlier pruning removed stays removed when the network is pruned again and trained."""

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import MethodSpec, UserError, prune
from prune_core.masks import count_zeros, merged, zeros_of
from prune_core.weights import prunable_layers, weight_variables

RNG = np.random.default_rng(0)
X = RNG.random((40, 6, 6, 2)).astype("float32")
Y = RNG.integers(0, 3, 40)
TRAINING = {"epochs": 2, "batch_size": 20, "learning_rate": 0.01}
RVSM = {"lambda": 1e-6, "beta": 0.1}


def network() -> keras.Model:
    """Every kind of kernel, and two kernels that the methods do not touch: a recurrent layer's."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        keras.Input((6, 6, 2)),
        L.Conv2D(4, 3, activation="relu", name="conv"),
        L.DepthwiseConv2D(2, name="depthwise"),
        L.SeparableConv2D(4, 2, activation="relu", name="separable"),
        L.Reshape((4, 4)),
        L.SimpleRNN(5, name="recurrent"),
        L.Dense(8, activation="relu", name="dense"),
        L.Dense(3, name="output"),
    ])  # fmt: skip


def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 2)), L.Flatten(), L.Dense(8, "relu", name="dense"), L.Dense(3, name="output")]
    )


def kernels(model: keras.Model) -> dict[str, np.ndarray]:
    return {path: np.array(weight) for path, weight in weight_variables(model).items() if path.endswith("kernel")}


@pytest.fixture(scope="module")
def pruned_before() -> keras.Model:
    """Half of each kernel zero, the recurrent ones included."""
    model = network()
    for number, (path, values) in enumerate(kernels(model).items()):
        keep = np.random.default_rng(number).random(values.shape) < 0.5
        weight_variables(model)[path].assign(np.where(keep, values, 0))
    return model


def again(model: keras.Model, method: str = "weight", **parameters):
    return prune(model, method, data=(X, Y), training=TRAINING, **parameters)


TRAINED = [
    ("weight", {"sparsity": 0.1, "recovery": "finetune"}),
    ("unit", {"sparsity": 0.25, "recovery": "finetune"}),
    ("rvsm", RVSM),
]


@pytest.mark.parametrize(("method", "parameters"), TRAINED)
def test_zeros_stay_wherever_a_method_trains(method, parameters, pruned_before):
    before = kernels(pruned_before)
    result = again(pruned_before, method, **parameters)
    after = kernels(result.masked)
    assert set(after) == {
        *("conv/kernel", "depthwise/kernel", "separable/depthwise_kernel", "separable/pointwise_kernel"),
        *(
            "recurrent/simple_rnn_cell/kernel",
            "recurrent/simple_rnn_cell/recurrent_kernel",
            "dense/kernel",
            "output/kernel",
        ),
    }
    for path, values in before.items():
        zeros = after[path][values == 0]
        assert zeros.tobytes() == bytes(zeros.nbytes), f"{path}: something came back, or is -0.0"
        assert not np.array_equal(after[path], values), f"{path} was not trained"
    count = sum(int((values == 0).sum()) for values in before.values())
    assert result.figures["zeros_held"] == count
    assert (
        f"{count:,} weights that were zero in the given network stay zero (hold_zeros=false lets them be trained)"
        in (result.warnings)
    )


@pytest.mark.parametrize(("method", "parameters"), TRAINED[::2])
def test_zeros_are_trained_where_that_is_asked_for(method, parameters, pruned_before):
    result = again(pruned_before, method, hold_zeros=False, **parameters)
    zeros = kernels(pruned_before)["output/kernel"] == 0
    assert kernels(result.masked)["output/kernel"][zeros].any()
    assert "zeros_held" not in result.figures
    assert not any("stay zero" in warning for warning in result.warnings)


def test_without_training_nothing_is_said(pruned_before):
    result = again(pruned_before, sparsity=0.1)
    assert "zeros_held" not in result.figures
    assert not result.warnings or "stay zero" not in " ".join(result.warnings)


def test_what_holds_zeros_is_no_other_training_for_a_network_without_them():
    parameters = {"sparsity": 0.3, "recovery": "finetune"}
    results = [again(small(), hold_zeros=hold, **parameters) for hold in (True, False)]
    one, other = (kernels(result.model) for result in results)
    assert all(np.array_equal(one[path], other[path]) for path in one)
    assert "zeros_held" not in results[0].figures


def test_the_masks_are_those_of_this_pruning(pruned_before):
    trained = again(pruned_before, "unit", sparsity=0.25, recovery="finetune")
    untrained = again(pruned_before, "unit", sparsity=0.25)
    assert trained.masks.keys() == untrained.masks.keys()
    assert all(np.array_equal(trained.masks[path], mask) for path, mask in untrained.masks.items())


def test_a_layer_that_begins_at_zero_is_trained():
    model = small()
    output = weight_variables(model)["output/kernel"]
    output.assign(np.zeros(output.shape))
    assert "output/kernel" not in zeros_of(model)
    assert kernels(again(model, sparsity=0.1, recovery="finetune").model)["output/kernel"].any()


def test_masks_of_zeros_by_hand():
    model = keras.Sequential([keras.Input((2,)), L.Dense(2, name="a"), L.Dense(1, name="b")])
    layers = {layer.name: layer for layer in prunable_layers(model)}
    layers["a"].kernel.assign([[0.0, 1.0], [2.0, -0.0]])
    held = zeros_of(model)
    assert {path: mask.tolist() for path, mask in held.items()} == {"a/kernel": [[False, True], [True, False]]}
    assert count_zeros(held) == 2
    masks = merged({"a/kernel": np.array([[True, False], [True, True]]), "b/kernel": np.array([[True], [False]])}, held)
    assert masks["a/kernel"].tolist() == [[False, False], [True, False]]
    assert masks["b/kernel"].tolist() == [[True], [False]]
    assert merged({}, held).keys() == held.keys()


def test_the_switch_is_named_only_where_it_says_something():
    finetuned = {"sparsity": 0.5, "recovery": "finetune"}
    assert "hold_zeros" not in MethodSpec(**finetuned).parameters()
    assert MethodSpec(**finetuned, hold_zeros=False).parameters()["hold_zeros"] is False
    assert "hold_zeros" not in MethodSpec(sparsity=0.5, hold_zeros=False).parameters()
    assert MethodSpec.from_parameters({**finetuned, "hold_zeros": False}).hold_zeros is False
    with pytest.raises(UserError, match="hold_zeros=3 must be true or false"):
        MethodSpec(sparsity=0.5, hold_zeros=3)
