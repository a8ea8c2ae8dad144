"""What lies inside of wrappers, recurrent and attention layers: pruned by weight, counted, known at plan time."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L

import prune_core
from prune_core.measure import count_macs
from prune_core.models import check
from prune_core.selections.coverage import expectation
from prune_core.weights import layers_without_kernel, prunable_layers, weight_variables


def kinds() -> keras.Model:
    """Every layer of Keras's that has kernels inside of it."""
    inputs = keras.Input((6, 4, 4, 3))
    x = L.TimeDistributed(L.Conv2D(3, 3, name="conv"), name="each")(inputs)
    tower = keras.Sequential(
        [L.Input((2, 2, 3)), L.Flatten(), L.Dense(4, name="a"), L.Dense(4, name="b")], name="tower"
    )
    x = L.TimeDistributed(tower, name="towers")(x)
    x = L.Bidirectional(L.LSTM(5, name="lstm", return_sequences=True), name="both")(x)
    x = L.GRU(5, return_sequences=True, name="gru")(x)
    x = L.SimpleRNN(5, return_sequences=True, name="plain")(x)
    x = L.RNN([L.LSTMCell(4, name="cell"), L.GRUCell(4, name="cell")], return_sequences=True, name="stacked")(x)
    x = L.RNN(L.LSTMCell(4, name="own_cell"), return_sequences=True, name="one")(x)
    x = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = L.GroupQueryAttention(4, 2, 2, name="grouped")(x, x)
    x = L.SpectralNormalization(L.Dense(4, name="normed"), name="spectral")(x)
    x = L.TimeDistributed(L.TimeDistributed(L.Dense(4, name="deep"), name="inner"), name="outer")(
        L.Reshape((6, 2, 2))(x)
    )
    y = L.Flatten()(L.ConvLSTM2D(3, 3, name="image")(inputs))
    x = L.SeparableConv1D(4, 2, name="separable")(L.Reshape((6, 8))(x))
    return keras.Model(inputs, L.Dense(3, name="output")(L.Concatenate()([L.Flatten()(x), y])))


NAMES = [
    "each/conv", "towers/tower/a", "towers/tower/b",
    "both/forward_lstm/lstm_cell/kernel", "both/forward_lstm/lstm_cell/recurrent_kernel",
    "both/backward_lstm/lstm_cell/kernel", "both/backward_lstm/lstm_cell/recurrent_kernel",
    "gru/gru_cell/kernel", "gru/gru_cell/recurrent_kernel",
    "plain/simple_rnn_cell/kernel", "plain/simple_rnn_cell/recurrent_kernel",
    *(f"stacked/stacked_rnn_cells/cells_{n}/{kernel}" for n in (0, 1) for kernel in ("kernel", "recurrent_kernel")),
    "one/own_cell/kernel", "one/own_cell/recurrent_kernel",
    *(f"attention/{name}" for name in ("query", "key", "value", "attention_output")),
    *(f"grouped/{name}" for name in ("query", "key", "value", "attention_output")),
    "spectral/normed", "outer/inner/deep",
    "image/conv_lstm_cell/kernel", "image/conv_lstm_cell/recurrent_kernel",
    "separable/depthwise_kernel", "separable/pointwise_kernel", "output",
]  # fmt: skip


@pytest.fixture(scope="module")
def every_kind() -> keras.Model:
    keras.utils.clear_session()  # Keras counts up the names of layers that were not given one
    keras.utils.set_random_seed(0)
    return kinds()


@pytest.fixture(scope="module")
def stored(every_kind: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "net.keras"
    every_kind.save(path)
    return path


def info_of(path: Path, shape: tuple[int, ...]) -> Any:
    return check("keras_file", {"builder": "keras_file", "path": str(path)}, shape, 3)


def series(*layers: Any) -> keras.Model:
    """Classifies series of 6 steps with 4 values."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 4)), *layers, L.Dense(3, name="output")])


def test_kernels_are_found_wherever_they_lie(every_kind: keras.Model) -> None:
    found = prunable_layers(every_kind)
    assert sorted(layer.name for layer in found) == sorted(NAMES)
    weights = weight_variables(every_kind)
    assert all(weights[layer.path] is layer.kernel for layer in found)
    assert {layer.name for layer in found if layer.inside is None} == {
        "separable/depthwise_kernel", "separable/pointwise_kernel", "output",
    }  # fmt: skip
    assert {layer.inside for layer in found if layer.name.startswith("both/")} == {"both"}
    assert layers_without_kernel(every_kind) == {}


def test_a_plan_knows_them_from_the_file_alone(every_kind: keras.Model, stored: Path) -> None:
    info = info_of(stored, (6, 4, 4, 3))
    found = prunable_layers(every_kind)
    assert info.kernel_layers == tuple(layer.name for layer in found)
    assert info.kernel_sizes == tuple(int(np.prod(layer.kernel.shape)) for layer in found)
    assert info.inner_kernels == {layer.name for layer in found if layer.inside is not None}
    assert info.output_kernels == 1


def test_sparsity_is_reached_inside_and_out_and_the_file_holds_it(every_kind: keras.Model) -> None:
    result = prune_core.prune(every_kind, "weight", sparsity=0.5)
    assert {name for name in result.figures if name.startswith("sparsity.")} == {f"sparsity.{n}" for n in NAMES[:-1]}
    assert result.figures["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert result.warnings == ()
    pruned, decoded = (weight_variables(m) for m in (result.model, prune_core.decode(prune_core.encode(result.model))))
    assert all((np.array(pruned[path]) == np.array(decoded[path])).all() for path in pruned)


@pytest.mark.parametrize(
    ("layer", "method"),
    [
        (lambda: L.TimeDistributed(L.Dense(5, name="dense"), name="in"), "weight"),
        (lambda: L.Bidirectional(L.SimpleRNN(5, return_sequences=True), name="in"), "weight"),
        (lambda: L.LSTM(5, name="in", return_sequences=True), "rvsm"),
    ],
)
def test_zeros_inside_are_held_in_training(layer: Any, method: str) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(48, 6, 4)).astype("float32"), np.arange(48) % 3
    model = series(layer(), L.GlobalAveragePooling1D())
    options = {"sparsity": 0.8, "recovery": "finetune"} if method == "weight" else {"lambda": 1e-3, "beta": 0.1}
    training = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01}
    result = prune_core.prune(model, method, data=data, training=training, **options)
    weights = weight_variables(result.model)
    inside = [path for path in result.masks if path.startswith("in/")]
    assert inside
    for path in inside:
        assert 0 < np.count_nonzero(result.masks[path]) < result.masks[path].size
        assert (np.array(weights[path])[~result.masks[path]] == 0).all()
    assert any((np.array(weights[path]) != np.array(weight_variables(model)[path])).any() for path in inside)


def test_weights_inside_share_values_by_layer() -> None:
    model = series(L.LSTM(5, name="lstm"))
    counts = prune_core.prune(model, "cluster", n_clusters=[2, 3, 4]).figures
    assert [counts[f"n_clusters.{name}"] for name in (
        "lstm/lstm_cell/kernel", "lstm/lstm_cell/recurrent_kernel", "output",
    )] == [2, 3, 4]  # fmt: skip


def test_units_inside_stay_and_that_is_said() -> None:
    model = series(L.Dense(8, name="free"), L.Bidirectional(L.LSTM(5), name="both"), L.Dense(6, name="hidden"))
    result = prune_core.prune(model, "unit", sparsity=0.5)
    assert result.figures["units.free"] == 8  # a recurrent layer depends on all of its inputs
    assert result.figures["units.hidden"] == 3
    assert result.figures["sparsity.both/forward_lstm/lstm_cell/kernel"] == 0
    assert any(
        w.startswith("both was kept whole: no unit inside of Bidirectional can be removed") for w in result.warnings
    )
    assert prune_core.prune(model, "random", granularity="unit", sparsity=0.5).figures["units.hidden"] == 3


def test_the_layer_that_makes_the_output_is_left_whole_with_all_that_is_inside() -> None:
    keras.utils.set_random_seed(0)
    last = keras.Sequential([keras.Input((6, 4)), L.Dense(5, name="hidden"), L.LSTM(3, name="lstm")])
    assert [layer.name for layer in prunable_layers(last) if not layer.is_output] == ["hidden"]
    tower = keras.Sequential([keras.Input((4,)), L.Dense(5, name="a"), L.Dense(3, name="b")], name="tower")
    each = keras.Sequential([keras.Input((6, 4)), L.TimeDistributed(tower, name="each"), L.GlobalMaxPooling1D()])
    assert [layer.name for layer in prunable_layers(each) if layer.is_output] == ["each/tower/b"]


@pytest.mark.parametrize("make", [
    lambda: [L.Dense(5, name="hidden"), L.LSTM(3, name="lstm")],
    lambda: [L.TimeDistributed(keras.Sequential([L.Input((4,)), L.Dense(5), L.Dense(3)])), L.GlobalMaxPooling1D()],
    lambda: [L.Conv1D(4, 3), L.SeparableConv1D(3, 4), L.Flatten()],
])  # fmt: skip
def test_a_plan_knows_what_makes_the_output(make: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 4)), *make()])
    model.save(tmp_path / "net.keras")
    info = info_of(tmp_path / "net.keras", (6, 4))
    outputs = [layer.name for layer in prunable_layers(model) if layer.is_output]
    assert list(info.kernel_layers[-info.output_kernels :]) == outputs


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (lambda: L.TimeDistributed(L.Dense(5)), 6 * 4 * 5),
        (lambda: L.TimeDistributed(keras.Sequential([L.Input((4,)), L.Dense(5), L.Dense(2)])), 6 * (4 * 5 + 5 * 2)),
        (lambda: L.LSTM(5), 6 * (4 * 20 + 5 * 20)),
        (lambda: L.Bidirectional(L.GRU(5)), 2 * 6 * (4 * 15 + 5 * 15)),
        (lambda: L.RNN([L.LSTMCell(2), L.SimpleRNNCell(3)]), 6 * (4 * 8 + 2 * 8 + 2 * 3 + 3 * 3)),
        (lambda: L.SpectralNormalization(L.Dense(5)), 6 * 4 * 5),
        (lambda: L.EinsumDense("abc,cde->abde", output_shape=(6, 2, 3)), 6 * 4 * 2 * 3),
        (lambda: L.EinsumDense("...c,cd->...d", output_shape=3), 6 * 4 * 3),
    ],
)
def test_multiplications_inside_count_at_every_step(layer: Any, macs: int) -> None:
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, layer()(inputs))
    assert count_macs(model) == macs
    assert count_macs(model, nonzero_only=True) <= macs


def test_multiplications_of_attention_and_of_images_in_time() -> None:
    query, source = keras.Input((6, 4)), keras.Input((9, 7))
    attention = L.MultiHeadAttention(2, 3, value_dim=5)(query, source)
    assert count_macs(keras.Model([query, source], attention)) == (
        6 * 4 * (2 * 3) + 9 * 7 * (2 * 3) + 9 * 7 * (2 * 5) + 6 * (2 * 5) * 4
    )
    images = keras.Input((6, 5, 5, 2))
    convolved = L.ConvLSTM2D(3, 3, return_sequences=True)(images)
    assert count_macs(keras.Model(images, convolved)) == 6 * (3 * 3) * (3 * 3 * 2 * 12 + 3 * 3 * 3 * 12)


def text(length: int, words: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        keras.Input((length,)),
        L.Embedding(words, 4, name="words"),
        L.LSTM(5, name="lstm"),
        L.Dense(6, name="hidden"),
        L.Dense(3, name="output"),
    ])  # fmt: skip


def test_what_sparsity_leaves_out_is_said() -> None:
    """words 400, lstm 80 + 100 + 20, hidden 30 + 6, output 18 + 3: 657 weights."""
    model = text(6, 100)
    result = prune_core.prune(model, "weight", sparsity=0.5)
    assert result.figures["params_total"] == 657
    assert result.figures["params_prunable"] == 80 + 100 + 30
    assert result.warnings[0] == (
        "only 32 % of the network's 657 weights can be pruned this way: words (Embedding) has 60.9 %"
    )
    result = prune_core.prune(model, "unit", sparsity=0.5)
    assert result.figures["params_prunable"] == 30
    assert result.warnings[0].startswith("only 4.57 % of")
    assert "words (Embedding) has 60.9 %, lstm (LSTM) has 27.4 %" in result.warnings[0]
    small = prune_core.prune(text(6, 2), "weight", sparsity=0.5)
    assert small.warnings == ("words was kept whole: the weights of Embedding are of no kind that can be pruned",)


def test_a_plan_says_it_before_anything_runs(tmp_path: Path) -> None:
    text(6, 100).save(tmp_path / "net.keras")
    info = info_of(tmp_path / "net.keras", (6,))
    assert expectation(info, by_units=False, prune_output=False) == (
        "reaches no more than 32 % of the network's 657 weights: it leaves embeddings and the like whole"
    )
    assert str(expectation(info, by_units=True, prune_output=False)).startswith("reaches no more than 4.57 % of")
    text(6, 2).save(tmp_path / "net.keras")
    assert expectation(info_of(tmp_path / "net.keras", (6,)), by_units=False, prune_output=False) is None
