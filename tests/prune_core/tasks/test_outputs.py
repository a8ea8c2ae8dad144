"""How the outputs of a network are read: by its graph, its compiled loss, its answers."""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from prune_core import UserError, prune
from prune_core.tasks import CompiledLoss, OutputKind, find_outputs, loss_of_archive
from prune_core.tasks.compiled_loss import loss_of
from prune_core.training import evaluate, train
from prune_core.weights import weight_variables

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y3 = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
Y2 = (X[:, 0] + X[:, 1] > 0).astype(int)
LOGITS, PROBABILITIES = OutputKind.LOGITS, OutputKind.PROBABILITIES
LOGIT, PROBABILITY = OutputKind.BINARY_LOGIT, OutputKind.BINARY_PROBABILITY
TRAINING = {"epochs": 2, "batch_size": 20, "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    keras.utils.set_random_seed(0)


def network(end, units=3, activation=None):
    """A layer of `units` and whatever `end` makes of its output."""
    start = keras.Input((4,))
    hidden = L.Dense(5, "relu", name="hidden")(start)
    return keras.Model(start, end(L.Dense(units, activation, name="head")(hidden)))


def softmax(end, units=3):
    return network(end, units, "softmax")


def nested(layers):
    return keras.Sequential([keras.Input((3,)), *layers])


def squeezed(p):
    return ops.squeeze(ops.reshape(p, (-1, 1, 3)), 1)


# Each hands a softmax on in another way.
HANDED_ON = {
    "nothing": lambda p: p,
    "cast": L.Activation("linear", dtype="float32"),
    "flatten": L.Flatten(),
    "reshape": L.Reshape((3,)),
    "identity": L.Identity(),
    "several": lambda p: L.Flatten()(L.Permute((2, 1))(L.Reshape((1, 3))(L.Identity()(p)))),
    "average": lambda p: L.Average()([p, L.Identity()(p)]),
    "bare average": lambda p: (p + L.Identity()(p)) / 2,
    "sum over heads": lambda p: sum([p, L.Identity()(p), L.Identity()(p)]) / 3,
    "weighted": lambda p: 0.3 * p + ops.multiply(L.Identity()(p), 0.7),
    "bare moves": squeezed,
    "bare cast": lambda p: ops.cast(ops.cast(p, "float32"), "float32"),
    "nested": nested([L.Identity(), L.Flatten()]),
    "nested twice": nested([nested([L.Flatten()]), L.Identity()]),
    "mean over positions": lambda p: L.GlobalAveragePooling1D()(L.RepeatVector(2)(p)),
    "from below": lambda p: ops.maximum(p, 1e-9),
    "clipped": lambda p: ops.clip(p, 0.0, 1.0),
    "noise": L.GaussianNoise(0.1),
    "switched-off dropout": L.Dropout(0.0),
    "rescaled": L.Rescaling(1.0),
}


@pytest.mark.parametrize("end", HANDED_ON.values(), ids=HANDED_ON)
def test_what_hands_probabilities_on_gives_probabilities(end):
    model = softmax(end)
    assert find_outputs(model).kind is PROBABILITIES
    likely = np.array(model(X))[np.arange(len(X)), Y3]
    assert evaluate(model, X, Y3).loss == pytest.approx(-np.log(likely).mean(), rel=1e-5)
    assert find_outputs(network(end), X).kind is LOGITS, "what hands logits on gives logits"


def test_one_function_learns_alike_however_it_is_written():
    def tuned(end):
        keras.utils.set_random_seed(3)
        data = {"data": (X, Y3), "training": TRAINING}
        result = prune(softmax(HANDED_ON[end]), "weight", sparsity=0.2, recovery="finetune", **data)
        return np.concatenate([np.ravel(weight) for weight in weight_variables(result.model).values()])

    np.testing.assert_allclose(tuned("bare average"), tuned("nothing"), atol=1e-5)


OWN = {
    "dense": (L.Dense(3, "softmax"), PROBABILITIES),
    "linear": (L.Dense(3), LOGITS),
    "sigmoids": (L.Dense(3, "sigmoid"), PROBABILITIES),
    "hard sigmoids": (L.Dense(3, "hard_sigmoid"), PROBABILITIES),
    "sparsemax": (L.Dense(3, "sparsemax"), PROBABILITIES),
    "a function": (L.Dense(3, activation=ops.softmax), PROBABILITIES),
    "a layer": (L.Dense(3, activation=L.Softmax()), PROBABILITIES),
    "softmax layer": (L.Softmax(), PROBABILITIES),
    "activation layer": (L.Activation("softmax"), PROBABILITIES),
    "bare softmax": (ops.softmax, PROBABILITIES),
    "bare sigmoid": (ops.sigmoid, PROBABILITIES),
    "log-probabilities": (L.Activation("log_softmax"), LOGITS),
    "bare log-probabilities": (ops.log_softmax, LOGITS),
    "logarithm": (lambda z: ops.log(ops.softmax(z)), LOGITS),
    "softmax before the last layer": (lambda z: L.Dense(3)(L.Softmax()(z)), LOGITS),
    "tanh": (L.Dense(3, "tanh"), LOGITS),
    "temperature": (lambda z: z / 2.0, LOGITS),
    "softened": (lambda z: ops.softmax(z / 2.0), PROBABILITIES),
    "normalised": (L.BatchNormalization(), LOGITS),
    "each position": (
        lambda z: L.Flatten()(L.TimeDistributed(L.Dense(3, "softmax"))(L.Reshape((1, 3))(z))),
        PROBABILITIES,
    ),
    "each position, a model": (
        lambda z: L.Flatten()(L.TimeDistributed(nested([L.Dense(3, "softmax"), L.Identity()]))(L.Reshape((1, 3))(z))),
        PROBABILITIES,
    ),
    "convolution": (
        lambda z: L.GlobalAveragePooling1D()(L.Conv1D(3, 1, activation="softmax")(L.Reshape((3, 1))(z))),
        PROBABILITIES,
    ),
    "residual": (lambda z: L.Add()([z, ops.relu(z)]), LOGITS),
    "two of one": (lambda z: L.Concatenate()([1 - L.Dense(1, "sigmoid", name="p")(z), ops.zeros_like(z)]), LOGITS),
}


@pytest.mark.parametrize(("end", "kind"), OWN.values(), ids=OWN)
def test_the_graph_tells(end, kind):
    model = network(end)
    assert find_outputs(model).kind is kind
    assert find_outputs(keras.Sequential([keras.Input((4,)), model])).kind is kind


def own_softmax(z):
    raised = ops.exp(z - ops.max(z, axis=-1, keepdims=True))
    return raised / ops.sum(raised, axis=-1, keepdims=True)


def unknown(z):
    """Logits, by a way that is not followed."""
    return ops.einsum("ij->ij", z)


def test_where_the_graph_cannot_tell_the_loss_does():
    model = network(unknown)
    assert find_outputs(model, X).kind is LOGITS
    losses = keras.losses
    for loss, kind in [
        ("sparse_categorical_crossentropy", PROBABILITIES),
        (losses.SparseCategoricalCrossentropy(from_logits=True), LOGITS),
        (losses.CategoricalCrossentropy(), PROBABILITIES),
    ]:
        model.compile(loss=loss)
        assert find_outputs(model, X).kind is kind
    assert find_outputs(network(unknown), X, CompiledLoss("categorical_crossentropy")).kind is PROBABILITIES


def test_a_copy_is_trained_with_the_loss_of_the_given_network():
    def tuned(loss):
        keras.utils.set_random_seed(3)
        model = network(lambda z: unknown(own_softmax(z)))
        model.compile(loss=loss)
        data = {"data": (X, Y3), "training": TRAINING}
        return np.array(prune(model, "weight", sparsity=0.2, recovery="finetune", **data).model.weights[0])

    losses = keras.losses.SparseCategoricalCrossentropy
    np.testing.assert_array_equal(tuned(losses()), tuned(None))  # these answers are seen to be probabilities
    assert not np.array_equal(tuned(losses(from_logits=True)), tuned(None))


def test_where_nothing_tells_the_answers_do():
    assert find_outputs(network(own_softmax), X).kind is PROBABILITIES
    assert find_outputs(network(lambda z: own_softmax(z) * 2.0), X).kind is LOGITS
    assert find_outputs(network(lambda z: ops.softmax(z) + ops.softmax(z)), X).kind is LOGITS
    assert find_outputs(network(lambda z: unknown(ops.relu(z))), X).kind is LOGITS


@pytest.mark.parametrize(
    ("loss", "name", "from_logits"),
    [
        ("bce", "binary_crossentropy", False),
        (["mse"], "mean_squared_error", False),
        ({"head": "binary_crossentropy"}, "binary_crossentropy", False),
        (keras.losses.sparse_categorical_crossentropy, "sparse_categorical_crossentropy", False),
        (keras.losses.BinaryCrossentropy(from_logits=True), "binary_crossentropy", True),
        (keras.losses.KLDivergence(), "kl_divergence", False),
        (keras.losses.CategoricalFocalCrossentropy(), "categorical_focal_crossentropy", False),
    ],
)
def test_a_loss_is_read_from_the_network_and_from_its_file_alike(loss, name, from_logits, tmp_path):
    model = network(lambda z: z)
    model.compile(loss=loss)
    model.save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert loss_of(model) == loss_of_archive(config) == CompiledLoss(name, from_logits)


def test_losses_that_tell_nothing():
    model = network(lambda z: z)
    assert loss_of(model) is None
    assert loss_of_archive({}) is None
    for loss in (lambda y, z: ops.mean(z), functools.partial(keras.losses.binary_crossentropy, from_logits=True)):
        model.compile(loss=loss)
        assert loss_of(model) is None
    for planted in ({"loss": {"class_name": "BinaryCrossentropy", "module": "mine"}}, {"loss": 3}, {"loss": [[]]}, []):
        assert loss_of_archive({"compile_config": planted}) is None


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("end", [L.Softmax, lambda **kind: L.Activation("linear", **kind)], ids=["softmax", "logits"])
def test_half_precision_is_evaluated_as_by_keras(policy, end):
    start = keras.Input((4,))
    model = keras.Model(start, end(dtype=policy)(L.Dense(3, dtype=policy)(L.Dense(5, "relu", dtype=policy)(start))))
    from_logits = not find_outputs(model, X).kind.is_probability
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits), metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, Y3, verbose=0)
    found = evaluate(model, X, Y3)
    assert found.loss == pytest.approx(loss, rel=1e-3)
    assert found.accuracy == pytest.approx(accuracy)


def test_half_precision_is_seen_and_trained():
    coarse = L.Activation("linear", dtype="mixed_bfloat16")
    model = network(lambda z: L.Activation("linear", dtype="float32")(own_softmax(coarse(z))))
    assert find_outputs(model, X).kind is PROBABILITIES
    assert train(model, splits(Y3), TRAINING, 0)["loss"][-1] < evaluate(network(ops.softmax), X, Y3).loss


def splits(y):
    class Splits:
        x_train = x_val = X
        y_train = y_val = y

    return Splits


def test_a_dropout_behind_the_output_spoils_training_only():
    model = softmax(lambda p: L.Flatten()(L.Dropout(0.5, name="late")(p)))
    assert find_outputs(model).kind is PROBABILITIES
    with pytest.raises(UserError, match="'late' is a dropout after the output: remove it"):
        train(model, splits(Y3), TRAINING, 0)
    train(network(lambda z: L.Softmax()(L.Dropout(0.5)(z))), splits(Y3), TRAINING, 0)


def test_an_output_may_lie_in_a_list():
    model = softmax(L.Identity())
    listed, named = (keras.Model(model.input, wrapped) for wrapped in ([model.output], {"mine": model.output}))
    assert evaluate(listed, X, Y3) == evaluate(named, X, Y3) == evaluate(model, X, Y3)
    tuned = prune(listed, "weight", sparsity=0.2, recovery="finetune", data=(X, Y3), training=TRAINING)
    assert evaluate(tuned.model, X, Y3).loss < evaluate(model, X, Y3).loss


# One number for two classes.


BINARY = {
    "sigmoid": (L.Activation("sigmoid"), PROBABILITY),
    "bare sigmoid": (ops.sigmoid, PROBABILITY),
    "cast": (lambda z: L.Activation("linear", dtype="float32")(ops.sigmoid(z)), PROBABILITY),
    "squeezed": (lambda z: ops.squeeze(ops.sigmoid(z), -1), PROBABILITY),
    "of the other class": (lambda z: 1 - ops.sigmoid(-z), PROBABILITY),
    "picked from a softmax": (
        lambda z: ops.softmax(L.Concatenate()([z, L.Dense(1, name="other")(z)]))[:, 1:],
        PROBABILITY,
    ),
    "logit": (lambda z: z, LOGIT),
    "squeezed logit": (lambda z: ops.squeeze(z, -1), LOGIT),
}


@pytest.mark.parametrize(("end", "kind"), BINARY.values(), ids=BINARY)
def test_one_output_tells_two_classes_apart(end, kind):
    model = network(end, units=1)
    assert find_outputs(model).kind is kind
    answers = np.array(model(X), np.float64).reshape(-1)
    likely = 1 / (1 + np.exp(-answers)) if kind is LOGIT else answers
    found = evaluate(model, X, Y2)
    assert found.loss == pytest.approx(-np.log(np.where(Y2, likely, 1 - likely)).mean(), rel=1e-5)
    assert found.accuracy == ((likely > 0.5) == Y2).mean()
    assert evaluate(model, X, Y2[:, None]) == found


@pytest.mark.parametrize("end", ["cast", "squeezed logit"])
def test_a_binary_network_learns(end):
    model = network(BINARY[end][0], units=1)
    before = evaluate(model, X, Y2)
    history = train(model, splits(Y2), {**TRAINING, "epochs": 30}, 0)
    assert history["val_accuracy"][-1] > max(0.9, before.accuracy)
    assert history["val_loss"][-1] < before.loss
    assert history["accuracy"][-1] > 0.9


def test_a_binary_network_is_evaluated_as_by_keras():
    model = network(ops.sigmoid, units=1)
    model.compile(loss="binary_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, Y2.astype("float32"), verbose=0)
    found = evaluate(model, X, Y2)
    assert (found.loss, found.accuracy) == (pytest.approx(loss, rel=1e-5), pytest.approx(accuracy))


def test_binary_outputs_of_literal_numbers():
    # Logits 0, ln 3 and -ln 3 are probabilities 1/2, 3/4 and 1/4 of class 1.
    x = np.array([[0], [np.log(3)], [-np.log(3)]], np.float32)
    logit = keras.Sequential([keras.Input((1,)), L.Dense(1, use_bias=False, kernel_initializer="ones")])
    for model in (logit, keras.Sequential([keras.Input((1,)), *logit.layers, L.Activation("sigmoid")])):
        found = evaluate(model, x, np.array([0, 1, 1]))
        assert found.accuracy == pytest.approx(2 / 3)  # in the middle it is class 0
        assert found.loss == pytest.approx((np.log(2) + np.log(4 / 3) + np.log(4)) / 3, rel=1e-6)


def test_an_assumption_is_said():
    linear = network(lambda z: z, units=1)
    assert "taken for the logit of class 1" in find_outputs(linear).remark
    result = prune(linear, "weight", sparsity=0.2, recovery="finetune", data=(X, Y2), training=TRAINING)
    assert any("taken for the logit of class 1" in warning for warning in result.warnings)
    linear.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert find_outputs(linear).remark is None
    linear.compile(loss="binary_crossentropy")
    assert "does not end in them" in find_outputs(linear).remark
    assert find_outputs(network(ops.sigmoid, units=1)).remark is None
    seen = find_outputs(network(lambda z: 1 / (1 + ops.exp(-z)), units=1), X)
    assert seen.kind is PROBABILITY
    assert "judged by its values alone" in seen.remark


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        (ops.tanh, None),
        (ops.relu, None),
        (L.Softmax(), None),
        (L.Activation("log_sigmoid"), None),
        (L.Identity(), "mse"),
    ],
)
def test_one_output_that_tells_no_class_is_refused(end, loss):
    model = network(end, units=1)
    if loss:
        model.compile(loss=loss)
    with pytest.raises(UserError, match="end it in a sigmoid") as refused:
        prune(model, "weight", sparsity=0.2, recovery="finetune", data=(X, Y2), training=TRAINING)
    assert "\n" not in str(refused.value)
    assert prune(model, "weight", sparsity=0.2).figures["sparsity"] > 0


@pytest.mark.parametrize(
    ("method", "parameters", "end"),
    [
        ("importance", {"threshold": 0.5}, "squeezed"),
        ("unit", {"sparsity": 0.4}, "sigmoid"),
        ("rvsm", {"lambda": 1e-4, "beta": 0.1}, "logit"),
    ],
)
def test_binary_networks_are_pruned_and_trained(method, parameters, end):
    model = network(BINARY[end][0], units=1)
    recovery = {} if method == "rvsm" else {"recovery": "finetune"}
    training = {**TRAINING, "epochs": 20, "learning_rate": 0.02}
    result = prune(model, method, data=(X, Y2), training=training, **recovery, **parameters)
    assert result.model.output_shape == model.output_shape
    assert evaluate(result.model, X, Y2).accuracy > 0.85
