"""A copy, a decoded and a shrunk network compute what the original does: states, shared weights, dtype policies."""

import keras
import numpy as np
import pytest
from keras import layers as L

from prune_core import UserError, decode, encode, prune
from prune_core.graph.copying import copy_of
from prune_core.masks import count_parameters
from prune_core.weights import prunable_layers, weight_variables

RNG = np.random.default_rng(0)
X = RNG.normal(300, 50, (32, 5)).astype("float32")


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    keras.utils.set_random_seed(0)


def adapted(layer: keras.Layer, x: np.ndarray = X) -> keras.Layer:
    layer.adapt(x)
    return layer


def tail(x: keras.KerasTensor) -> keras.KerasTensor:
    return L.Dense(3, name="o")(L.Dense(6, "relu", name="h")(L.Flatten()(x)))


def behind(*layers: keras.Layer) -> keras.Model:
    inputs = x = keras.Input((5,))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, tail(x))


def nested() -> keras.Model:
    return behind(keras.Sequential([keras.Input((5,)), adapted(L.Normalization()), L.Dense(4, name="d")], name="inner"))


def used_twice() -> keras.Model:
    norm, inputs = adapted(L.Normalization()), keras.Input((5,))
    inner = keras.Sequential([keras.Input((5,)), norm, L.Dense(4, name="d")], name="inner")
    return keras.Model(inputs, tail(L.Concatenate()([norm(norm(inputs) * 50.0 + 300.0), inner(inputs)])))


def in_time() -> keras.Model:
    return behind(L.Reshape((5, 1)), L.TimeDistributed(adapted(L.Normalization(), X.reshape(-1, 1))))


def always_drops() -> keras.Model:
    inputs = keras.Input((5,))
    return keras.Model(inputs, tail(L.Dropout(0.5)(inputs, training=True)))


STATEFUL = {
    "adapted": lambda: behind(adapted(L.Normalization())),
    "inverted": lambda: behind(adapted(L.Normalization(invert=True))),
    "given": lambda: behind(L.Normalization(mean=300.0, variance=2500.0)),
    "given_by_channel": lambda: behind(L.Normalization(mean=X.mean(0), variance=X.var(0))),
    "nested": nested,
    "used_twice": used_twice,
    "in_time": in_time,
    "bins": lambda: behind(adapted(L.Discretization(num_bins=4)), L.Rescaling(0.3)),
    "bins_one_hot": lambda: behind(adapted(L.Discretization(num_bins=4, output_mode="one_hot"))),
    "given_bins": lambda: behind(L.Discretization(bin_boundaries=[250.0, 300.0, 350.0]), L.Rescaling(0.3)),
    "always_drops": always_drops,
}


def answers(model: keras.Model, x: np.ndarray = X) -> np.ndarray:
    with keras.StatelessScope():
        return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))


@pytest.mark.parametrize("name", STATEFUL)
def test_what_a_layer_computes_from_its_weights_is_in_every_copy(name: str):
    model = STATEFUL[name]()
    encoded = encode(model)
    assert encode(decode(encoded)) == encoded
    same = [copy_of(model), decode(encoded), prune(model, "weight", sparsity=0.0).model]
    same.append(prune(model, "unit", sparsity=0.0).model)
    if name != "always_drops":
        assert all(np.array_equal(answers(model), answers(twin)) for twin in same)
        pruned = prune(model, "unit", sparsity=0.5)
        np.testing.assert_allclose(answers(pruned.model), answers(pruned.masked), rtol=0, atol=1e-4)
        assert pruned.figures["units.h"] == 3


class Secretive(L.Layer):
    """Has a number that is in no weight and no config."""

    factor = 1.0

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {"name": self.name}


class Open(Secretive):
    """Saves its number by Keras's protocol."""

    def save_own_variables(self, store):
        store["factor"] = np.float32(self.factor)

    def load_own_variables(self, store):
        self.factor = float(store["factor"])


@pytest.mark.parametrize("method", ["weight", "unit", "cluster"])
def test_a_layer_that_a_copy_cannot_have_whole_is_named(method: str):
    model = behind(L.Dense(4, name="before"), Secretive(name="secretive"))
    model.get_layer("secretive").factor = 3.0
    with pytest.raises(UserError, match="computes something else from 'secretive' on"):
        prune(model, method, **({"n_clusters": 3} if method == "cluster" else {"sparsity": 0.5}))


def test_what_a_layer_saves_by_itself_is_copied():
    model = behind(Open(name="open"))
    model.get_layer("open").factor = 3.0
    assert np.array_equal(answers(copy_of(model)), answers(model))
    assert np.array_equal(answers(prune(model, "unit", sparsity=0.0).model), answers(model))


@pytest.mark.parametrize("dtype", ["int64", "string"])
def test_vocabularies_are_copied(dtype: str):
    lookup, words = (L.IntegerLookup(), [280, 300, 320]) if dtype == "int64" else (L.StringLookup(), ["x", "y", "z"])
    lookup.adapt(np.array(words))
    inputs = keras.Input((3,), dtype=dtype)
    model = keras.Model(inputs, tail(L.Embedding(6, 2)(lookup(inputs))))
    samples = keras.ops.convert_to_tensor([words])
    assert np.array_equal(answers(copy_of(model), samples), answers(model, samples))


def test_checking_a_copy_changes_nothing_of_the_original():
    layers = [L.LSTM(2, stateful=True, return_sequences=True), L.BatchNormalization(), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), *layers])
    dropped = always_drops()
    for network in (model, dropped):
        before = [np.array(variable) for variable in network.variables]
        copy_of(network), encode(network)
        assert all(np.array_equal(old, np.array(new)) for old, new in zip(before, network.variables, strict=True))
    assert not any(np.any(np.array(state)) for state in model.layers[0].states)


def test_networks_of_open_size_are_compared_at_a_size_that_they_take():
    inputs = keras.Input((None, None, 1))
    x = L.Conv2D(2, 3, name="conv")(inputs)
    for model in (
        keras.Model(inputs, L.Dense(2)(L.GlobalMaxPooling2D()(x))),
        keras.Model(inputs, L.Dense(2)(keras.ops.reshape(x, (-1, 20 * 20 * 2)))),  # takes 22 x 22 only
        keras.Sequential([keras.Input((None,), dtype="int32"), L.Embedding(5, 3), L.Dense(2)]),
    ):
        assert encode(copy_of(model)) == encode(model)


def with_nested() -> keras.Model:
    """A layer in a network and in a model nested in it."""
    shared = L.Dense(4, name="shared")
    start = keras.Input((4,))
    inner = keras.Model(start, L.Dense(4, "relu", name="e")(shared(start)), name="inner")
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(3, name="o")(shared(inner(inputs))))


def in_two_models() -> keras.Model:
    shared = L.Dense(4, name="shared")
    towers = [keras.Sequential([keras.Input((4,)), shared, L.ReLU()], name=name) for name in ("one", "two")]
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(3, name="o")(towers[1](towers[0](inputs))))


def model_in_two_models() -> keras.Model:
    tower = keras.Sequential([keras.Input((4,)), L.Dense(4, name="d")], name="tower")
    start, inputs = keras.Input((4,)), keras.Input((4,))
    middle = keras.Model(start, L.ReLU()(tower(start)), name="middle")
    return keras.Model(inputs, L.Dense(3, name="o")(middle(tower(inputs))))


def by_hand(*, forget: bool = True) -> keras.Model:
    inputs, first, second = keras.Input((4,)), L.Dense(4, name="first"), L.Dense(4, name="second")
    model = keras.Model(inputs, L.Dense(3, name="o")(second(first(inputs))))
    second._tracker.unlock()
    if forget:
        second._untrack_variable(second._kernel)
    second._kernel = first._kernel
    second._tracker.lock()
    return model


SHARED = {
    "with_nested": with_nested,
    "in_two_models": in_two_models,
    "model_in_two_models": model_in_two_models,
    "by_hand": by_hand,
    "by_hand_with_one_left": lambda: by_hand(forget=False),
}
FOUR = RNG.normal(size=(8, 4)).astype("float32")


@pytest.mark.parametrize("name", SHARED)
def test_shared_weights_stay_shared(name: str):
    model = SHARED[name]()
    encoded = encode(model)
    assert encode(decode(encoded)) == encoded
    whole = prune(model, "unit", sparsity=0.0)
    for twin in (copy_of(model), decode(encoded), whole.masked, whole.model):
        assert list(weight_variables(twin)) == list(weight_variables(model))
        assert count_parameters(twin) == count_parameters(model)
        assert len(twin.weights) == len(model.weights)
        assert np.array_equal(answers(twin, FOUR), answers(model, FOUR))
        kernel = prunable_layers(twin)[0].kernel  # changing it in one place changes it in the other
        kernel.assign(kernel * 0.5)
    prunable_layers(model)[0].kernel.assign(prunable_layers(model)[0].kernel * 0.5)
    assert np.array_equal(answers(twin, FOUR), answers(model, FOUR))


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "unit") for name in SHARED),
        *(("with_nested", method) for method in ("weight", "importance", "cluster")),
    ],
)
def test_a_shared_kernel_is_pruned_once(name: str, method: str):
    model = SHARED[name]()
    parameters = {"importance": {"threshold": 0.9, "data": FOUR}, "cluster": {"n_clusters": 3}}
    result = prune(model, method, **parameters.get(method, {"sparsity": 0.5}))
    kernels = [layer.kernel for layer in prunable_layers(result.model)]
    assert len({id(kernel) for kernel in kernels}) == len(kernels)
    assert result.figures["params_total"] == count_parameters(model)[0]
    if method != "cluster":
        np.testing.assert_allclose(answers(result.model, FOUR), answers(result.masked, FOUR), atol=1e-5)
    twin = decode(encode(result.model))
    assert np.array_equal(answers(twin, FOUR), answers(result.model, FOUR))


def test_layers_of_shared_kernels_lose_the_same_units():
    model = by_hand()
    kernel, bias = np.eye(4, dtype="float32"), np.zeros(4, "float32")
    kernel[:, 2] = 0
    for name in ("first", "second"):
        model.get_layer(name).kernel.assign(kernel)
        model.get_layer(name).bias.assign(bias)
    small = prune(model, "unit", sparsity=0.25).model
    assert np.array_equal(answers(small, FOUR), answers(model, FOUR))


def test_relevance_of_a_shared_layer_is_that_of_all_its_places():
    from prune_core.scores import ScoringContext
    from prune_core.scores.importance import importance

    model = with_nested()
    ctx = ScoringContext(model, prunable_layers(model), "unit", FOUR, None, seed=0)
    scores = importance(ctx)
    assert scores["inner/shared"].sum() == pytest.approx(2, abs=1e-4)
    assert scores["inner/e"].sum() == pytest.approx(1, abs=1e-4)


def mixed() -> keras.Model:
    start = keras.Input((6, 6, 2))
    x = keras.ops.relu(L.BatchNormalization()(L.Conv2D(4, 3, name="conv")(start))) * 2.0
    inner = keras.Sequential([keras.Input((64,)), L.Dense(5, "gelu", name="d"), L.Dropout(0.2)], name="inner")
    x = L.TimeDistributed(keras.Sequential([keras.Input((5,)), L.Dense(4)]))(L.Reshape((1, 5))(inner(L.Flatten()(x))))
    return keras.Model(start, L.Dense(3, "softmax", name="o")(L.Flatten()(x)))


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_networks_of_another_dtype_policy_encode_to_the_same_bytes_again(policy: str):
    keras.config.set_dtype_policy(policy)
    try:
        model = mixed()
    finally:
        keras.config.set_dtype_policy("float32")
    encoded = encode(model)
    assert encode(decode(encoded)) == encode(copy_of(model)) == encoded
    usual = encode(mixed())
    keras.config.set_dtype_policy(policy)
    try:
        assert encode(decode(encoded)) == encoded
        assert encode(decode(usual)) == usual
    finally:
        keras.config.set_dtype_policy("float32")
    small = prune(model, "unit", sparsity=0.5).model
    assert encode(decode(encode(small))) == encode(small)
    assert small.dtype_policy.name == policy
