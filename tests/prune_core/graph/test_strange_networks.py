"""`prune` on unusual networks and data: it works, or says in one sentence why not."""

import keras
import numpy as np
import pytest
from keras import layers as L

import prune_core
from prune_core import UserError, prune, training
from prune_core.training import as_splits
from prune_core.weights import prunable_layers, weight_variables

RNG = np.random.default_rng(0)
X = RNG.random((32, 6, 6, 1)).astype("float32")
Y = RNG.integers(0, 4, 32)
TRAINING = {"epochs": 1, "batch_size": 16}
RVSM = {"lambda": 1e-3, "beta": 0.1}


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    keras.utils.set_random_seed(0)


def chain(*layers: keras.Layer, dtype: str | None = None) -> keras.Model:
    return keras.Sequential([keras.Input((6, 6, 1), dtype=dtype), *layers])


def mlp() -> keras.Model:
    return chain(
        L.Flatten(), L.Dense(8, "relu", name="dense_1"), L.Dense(6, "relu", name="dense_2"), L.Dense(4, name="o")
    )


def nested_tail() -> keras.Model:
    """The kernel that makes the output lies before a nested model without any."""
    tail = keras.Sequential([keras.Input((4,)), L.Softmax()])
    return chain(L.Flatten(), L.Dense(8, "swish", name="dense_1"), L.Dense(4, name="logits"), tail)


def own_functions() -> keras.Model:
    """Python functions inside, and inside a nested model."""
    inner = keras.Sequential(
        [
            keras.Input((36,)),
            L.Lambda(lambda z: 2 * z),
            L.Dense(8, activation=lambda z: keras.ops.relu(z), name="dense_1"),
        ]
    )
    return chain(L.Flatten(), inner, L.Dense(6, "softplus", name="dense_2"), L.Dense(4, name="o"))


def shared_nested() -> keras.Model:
    block = keras.Sequential([keras.Input((6,)), L.Dense(6, "tanh", name="dense_1")], name="block")
    start = keras.Input((6, 6, 1))
    x = block(block(L.Dense(6, name="stem")(L.Flatten()(start))))
    return keras.Model(start, L.Dense(4, name="o")(x * 2.0))


def augmented() -> keras.Model:
    return chain(
        L.RandomFlip(), L.RandomRotation(0.1), L.Rescaling(2.0, offset=-1.0), L.Normalization(mean=0.3, variance=0.1),
        L.Conv2D(5, 3, use_bias=False), L.BatchNormalization(scale=False, beta_initializer="random_normal"),
        L.LeakyReLU(), L.GlobalAveragePooling2D(), L.Dense(4, name="o"),
    )  # fmt: skip


def embedding() -> keras.Model:
    return chain(L.Flatten(), L.Embedding(3, 2), L.Flatten(), L.Dense(8, "elu", name="dense_1"), L.Dense(4, name="o"))


def double() -> keras.Model:
    dense = L.Dense(8, "relu", dtype="float64", name="dense_1")
    return chain(L.Flatten(dtype="float64"), dense, L.Dense(4, dtype="float64", name="o"), dtype="float64")


def decoder() -> keras.Model:
    return chain(L.Conv2D(5, 3, strides=2, name="conv_1"), L.Conv2DTranspose(3, 3, strides=2, name="o"))


def recurrent() -> keras.Model:
    return chain(
        L.Reshape((6, 6)),
        L.Dense(5, name="dense_1"),
        L.GRU(5, name="gru"),
        L.Dense(6, name="dense_2"),
        L.Dense(4, name="o"),
    )


def two_inputs() -> keras.Model:
    one, two = keras.Input((6,)), keras.Input((5,))
    return keras.Model([one, two], L.Dense(4, name="o")(L.Dense(6, name="dense_1")(L.Concatenate()([one, two]))))


def two_outputs() -> keras.Model:
    start = keras.Input((6, 6, 1))
    x = L.Dense(6, name="dense_1")(L.Flatten()(start))
    return keras.Model(start, [L.Dense(4, name="o_1")(x), L.Dense(3, name="o_2")(x)])


def head(units: int, activation: str | None = None) -> keras.Model:
    return chain(L.Flatten(), L.Dense(6, name="dense_1"), L.Dense(units, activation, name="o"))


def answers(model: keras.Model, x: np.ndarray = X) -> np.ndarray:
    return np.concatenate([np.array(y).reshape(len(x), -1) for y in keras.tree.flatten(model(x, training=False))], 1)


NETWORKS = [mlp, nested_tail, own_functions, shared_nested, augmented, embedding, double, decoder]


METHODS = [
    ("importance", {"threshold": 0.8, "data": X}),
    ("unit", {"sparsity": 0.5, "prune_output": True}),
    ("random", {"sparsity": 0.5}),
    ("cluster", {"n_clusters": 3}),
]
CASES = [
    (network, method, parameters)
    for network in NETWORKS
    for method, parameters in METHODS
    if (network, method) != (own_functions, "importance")  # a Lambda has no relevance rule
]


@pytest.mark.parametrize(("network", "method", "parameters"), CASES)
def test_what_is_delivered_is_what_was_masked(network, method, parameters):
    model = network()
    before = [np.array(weight) for weight in model.weights]
    result = prune(model, method, **parameters)
    again = prune(model, method, **parameters)
    assert all(np.array_equal(old, np.array(weight)) for old, weight in zip(before, model.weights, strict=True))
    assert np.array_equal(answers(result.model), answers(again.model))
    assert not any("nothing was pruned" in warning for warning in result.warnings if network is not own_functions)
    if method != "cluster":
        np.testing.assert_allclose(answers(result.model), answers(result.masked), atol=1e-5)
        given = weight_variables(model)
        for path, weight in weight_variables(result.masked).items():
            np.testing.assert_array_equal(np.array(weight), np.array(given[path]) * result.masks.get(path, True))
    if network is not own_functions:
        decoded = prune_core.decode(prune_core.encode(result.model))
        np.testing.assert_array_equal(answers(decoded), answers(result.model))


def test_pruning_the_pruned_only_takes_more():
    first = prune(mlp(), "weight", sparsity=0.5)
    second = prune(first.model, "weight", sparsity=0.7)
    assert all(not (second.masks[path] & ~mask).any() for path, mask in first.masks.items())
    smaller = prune(prune(mlp(), "unit", sparsity=0.5).model, "unit", sparsity=0.5).figures
    assert (smaller["units.dense_1"], smaller["units.dense_2"]) == (2, 2)


def test_the_output_layer_may_lie_before_a_nested_model():
    assert set(prune(nested_tail(), "weight", sparsity=0.5).masks) == {"dense_1/kernel"}
    mask = prune(nested_tail(), "unit", sparsity=0.5, prune_output=True).masks["logits/kernel"]
    assert mask.any(axis=0).sum() == 2


def test_units_of_a_transposed_output_are_silenced_along_their_own_axis():
    mask = prune(decoder(), "unit", sparsity=0.4, prune_output=True).masks["o/kernel"]
    assert mask.shape == (3, 3, 3, 5)
    assert mask.all(axis=(0, 1, 3)).tolist().count(False) == 1


def test_sharing_needs_no_layer_to_prune():
    result = prune(chain(L.Flatten(), L.Dense(4, name="o")), "cluster", n_clusters=3)
    assert len(np.unique(prunable_layers(result.model)[0].kernel)) == 3


def test_rvsm_in_double_precision():
    assert prune(double(), "rvsm", data=(X, Y), training=TRAINING, **RVSM).figures["sparsity"] > 0


def test_frozen_layers_are_kept_by_rvsm_and_named():
    model = mlp()
    model.trainable = False
    warnings = prune(model, "rvsm", data=(X, Y), training=TRAINING, **RVSM).warnings
    assert "dense_1 was kept whole: it is not trainable" in warnings
    tuned = prune(model, sparsity=0.5, recovery="finetune", data=(X, Y), training=TRAINING)
    assert "nothing was fine-tuned: no layer of the network is trainable" in tuned.warnings
    assert "is trainable: unfreeze some" in said(training.train, model, as_splits((X, Y)), TRAINING, 0)
    assert "nothing was pruned" in warnings


@pytest.mark.parametrize(("method", "share"), [("weight", 0.5), ("unit", 0)])
def test_recurrent_layers_lose_weights_but_no_units(method, share):
    result = prune(recurrent(), method, sparsity=0.5)
    assert any(warning.startswith("gru was kept whole") for warning in result.warnings) == (method == "unit")
    assert result.figures["sparsity.gru/gru_cell/kernel"] == pytest.approx(share, abs=0.02)
    np.testing.assert_allclose(answers(result.model), answers(result.masked), atol=1e-5)


def test_finetuning_trains_for_the_epochs_given():
    model = mlp()

    def trained(training: dict) -> np.ndarray:
        result = prune(model, "weight", sparsity=0.5, recovery="finetune", data=(X, Y), training=training)
        return answers(result.model)

    assert np.array_equal(trained({"epochs": 3}), trained({"epochs": 1, "finetune": {"epochs": 3}}))
    assert not np.array_equal(trained({"epochs": 3}), trained({"epochs": 1}))


@pytest.mark.parametrize("data", [X.tolist(), X.astype("float64"), keras.ops.convert_to_tensor(X), (X, Y), (X, None)])
def test_samples_may_come_in_many_forms(data):
    model = mlp()
    wanted = prune(model, "importance", threshold=0.8, data=X).masks
    got = prune(model, "importance", threshold=0.8, data=data).masks
    assert all(np.array_equal(got[path], mask) for path, mask in wanted.items())


def test_numbers_may_be_those_of_numpy():
    spec = prune_core.MethodSpec(sparsity=np.float32(0.5), n_clusters=np.int64(4))
    assert (spec.sparsity, spec.n_clusters) == (0.5, 4)
    assert (type(spec.sparsity), type(spec.n_clusters)) == (float, int)


def said(function, *arguments, **parameters) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments, **parameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


HOLE = np.where(np.arange(X.size).reshape(X.shape) == 7, np.nan, X)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (X[:, :5], "x has samples of shape (5, 6, 1) but the network takes (6, 6, 1)"),
        (X[..., 0], "x has samples of shape (6, 6)"),
        (X[0], "x has samples of shape (6, 1)"),
        (X[:0], "no samples"),
        (HOLE, "1 of the 1152 numbers in x are not finite"),
        ("my.npz", "x must be an array of numbers"),
        ({"x": X}, "x must be an array of numbers"),
        ([X, Y], "give data=x or (x, y)"),
        ((X, Y, Y), "data is a tuple of 3"),
    ],
)
def test_samples_that_the_network_cannot_take(data, sentence):
    assert sentence in said(prune, mlp(), "importance", threshold=0.5, data=data)


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (Y[:9], "y has 9 labels for 32 samples"),
        (np.eye(4)[Y] + np.eye(4)[0], "y has 4 columns that are not one-hot"),
        (np.maximum(np.eye(4)[Y], np.eye(4)[Y - 1]), "y gives several labels a sample (sample 0 has 2)"),
        (Y - 1, "y holds the label -1: number the classes from 0 on"),
        (Y + 1, "labels from 1 to 4 but the network has 4 classes"),
        (Y + 0.5, "y holds 3.5, which is not the number of a class"),
        (Y.astype(str), "y must be an array of numbers"),
        (None, "data=(x, y)"),
    ],
)
@pytest.mark.parametrize("method", [{"method": "rvsm", **RVSM}, {"sparsity": 0.5, "recovery": "finetune"}])
def test_labels_that_the_network_cannot_learn(method, y, sentence):
    assert sentence in said(prune, mlp(), data=(X, y), **method)


@pytest.mark.parametrize("kind", [lambda y: y[:, None], lambda y: np.eye(4)[y], lambda y: y.astype("float32")])
def test_labels_of_other_kinds_train_as_class_indices_do(kind):
    results = [
        prune(network, "weight", sparsity=0.5, recovery="finetune", data=(X, y)).model.get_weights()
        for network in [mlp()]
        for y in (Y, kind(Y))
    ]
    for expected, got in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_one_output_is_for_two_classes():
    data = {"sparsity": 0.5, "recovery": "finetune", "data": (X, Y)}
    assert "labels from 0 to 3 but the network has 2 classes" in said(prune, head(1, "sigmoid"), **data)


@pytest.mark.parametrize("network", [decoder, two_outputs])
def test_networks_that_are_no_classifiers_are_pruned_but_not_trained(network):
    assert prune(network(), "weight", sparsity=0.5).figures["sparsity"] > 0.4
    assert "training needs one of shape (None, classes)" in said(
        prune, network(), "weight", sparsity=0.5, recovery="finetune", data=(X, Y)
    )


def test_two_inputs_are_pruned_but_not_scored_on_data():
    assert prune(two_inputs(), "unit", sparsity=0.5).figures["units.dense_1"] == 3
    assert "has 2 inputs" in said(prune, two_inputs(), "importance", threshold=0.5, data=(X, X))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
        ({"seed": 0.5}, "seed=0.5 must be a whole number >= 0"),
        ({"prune_output": "no"}, "prune_output='no' must be True or False"),
        ({"model": "my.keras"}, "keras.models.load_model(path)"),
        ({"model": keras.Sequential([L.Dense(3)])}, "is not built"),
        ({"model": chain(L.Flatten())}, "has no Dense or convolution layer"),
        ({"model": chain(L.Flatten(), L.Dense(4, name="o"))}, "but its output, o: set prune_output=True"),
        ({"method": None}, "method=None must be a name or a MethodSpec"),
        ({"method": "cluster", "sparsity": None}, "n_clusters is missing"),
        ({"method": "cluster", "sparsity": None, "n_cluster": 4}, "'n_cluster' is not a parameter"),
    ],
)
def test_mistakes_in_arguments(arguments, sentence):
    assert sentence in said(prune, **{"model": mlp(), "sparsity": 0.5, **arguments})


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("weight", {"sparsity": 0.5}), ("importance", {"threshold": 0.5}), ("random", {"sparsity": 0.5})],
)
def test_weights_that_are_no_numbers_are_not_ranked(method, parameters):
    model = mlp()
    kernel = np.array(model.layers[1].kernel)
    kernel[0, 0] = np.nan
    model.layers[1].kernel.assign(kernel)
    assert "dense_1/kernel holds 1 weights that are not finite" in said(prune, model, method, data=X, **parameters)


def test_a_result_is_no_model_and_no_masks(tmp_path):
    result = prune(mlp(), "weight", sparsity=0.5)
    assert "result.model" in said(prune_core.encode, result)
    assert "result.masks" in said(prune_core.save_masks, tmp_path / "masks.npz", result)
    assert "does not exist" in said(prune_core.save_masks, tmp_path / "no" / "masks.npz", result.masks)
    assert "not a str" in said(prune_core.decode, "network.pruned")
    assert "is not a Keras model" in said(prune_core.shrink, result)
