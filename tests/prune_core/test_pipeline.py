"""The whole way from a trained network to a smaller one."""

import keras
import numpy as np
import pytest
from keras import layers as L

import prune_core
from prune_core import UserError, prune
from prune_core.graph.rebuild import blank_duplicates
from prune_core.pipeline import copy_of
from prune_core.weights import prunable_layers, weight_variables

RVSM = {"lambda": 1e-4, "beta": 0.1}
TRAINING = {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "optimizer": "adam"}


def mlp() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Flatten(),
            L.Dense(20, activation="relu", name="dense_1", bias_initializer="random_normal"),
            L.Dense(12, activation="relu", name="dense_2", bias_initializer="random_normal"),
            L.Dense(10, name="output"),
        ]
    )


def cnn() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(8, 3, padding="same", name="conv_1"),
            L.BatchNormalization(
                name="norm", beta_initializer="random_normal", moving_mean_initializer="random_normal"
            ),
            L.ReLU(),
            L.MaxPooling2D(),
            L.Conv2D(6, 3, name="conv_2", activation="relu"),
            L.Flatten(),
            L.Dropout(0.3),
            L.Dense(16, activation="relu", name="dense_1"),
            L.Dense(10, name="output", activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images[:200, ..., None] / 16).astype("float32"), digits.target[:200].astype("int64")


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    return {path: np.array(variable) for path, variable in weight_variables(model).items()}


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.array(model(x, training=False))


@pytest.mark.parametrize("method", ["weight", "random"])
@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.9])
def test_the_exact_fraction_of_each_layer_goes(method, sparsity, data):
    result = prune(mlp(), method, sparsity=sparsity)
    for path, mask in result.masks.items():
        assert (~mask).sum() == int(sparsity * mask.size + 1e-9), path


def test_a_copy_has_equal_weights_and_the_same_configuration_initialisers_included():
    for model in (mlp(), cnn()):
        copy = copy_of(model)
        assert copy.to_json() == model.to_json()
        for mine, theirs in zip(copy.weights, model.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_layers_that_get_their_weights_from_elsewhere_draw_none():
    with blank_duplicates() as duplicate:
        layer = duplicate(mlp().get_layer("dense_1"))
        layer.build((None, 64))
    assert not layer.kernel.numpy().any()
    assert not layer.bias.numpy().any()
    assert isinstance(layer.bias_initializer, keras.initializers.RandomNormal)


def test_the_steps_that_were_taken_are_timed(data):
    pruned = prune(mlp(), "unit", sparsity=0.5, recovery="finetune", data=data, training=TRAINING, n_clusters=4)
    assert set(pruned.seconds) == {"copy", "score", "select", "finetune", "shrink", "cluster", "count"}
    assert set(prune(mlp(), "rvsm", data=data, training=TRAINING, **RVSM).seconds) == {"copy", "train", "count"}


def test_a_result_shows_its_figures_and_no_arrays(data):
    shown = repr(prune(mlp(), "importance", data=data, threshold=0.5))
    assert "'sparsity': " in shown
    assert "array(" not in shown


def test_units_go_physically_and_exactly():
    result = prune(mlp(), "unit", sparsity=0.5)
    shapes = {layer.name: tuple(layer.kernel.shape) for layer in prunable_layers(result.model)}
    assert shapes == {"dense_1": (64, 10), "dense_2": (10, 6), "output": (6, 10)}
    assert result.figures["units.dense_1"] == 10
    assert result.figures["shrink_difference"] <= 1e-5


def test_output_layer_is_pruned_only_if_asked():
    assert "output/kernel" not in prune(mlp(), "weight", sparsity=0.5).masks
    assert (~prune(mlp(), "weight", sparsity=0.5, prune_output=True).masks["output/kernel"]).sum() == 60
    by_units = prune(mlp(), "unit", sparsity=0.5, prune_output=True)
    assert by_units.model.output_shape == (None, 10)
    assert (~by_units.masks["output/kernel"].any(axis=0)).sum() == 5


def test_importance_repeats_bit_for_bit_and_keeps_input_relevance(data):
    first, second = (prune(cnn(), "importance", data=data[0], threshold=0.8) for _ in range(2))
    assert all(np.array_equal(first.masks[path], second.masks[path]) for path in first.masks)
    assert first.by_products["input_relevance"].shape == (8, 8, 1)


def test_finetuning_holds_the_masks(data):
    result = prune(mlp(), "weight", sparsity=0.8, recovery="finetune", data=data, training={**TRAINING, "epochs": 2})
    unrecovered = prune(mlp(), "weight", sparsity=0.8)
    assert result.figures["sparsity"] == pytest.approx(unrecovered.figures["sparsity"])
    assert not np.array_equal(weights_of(result.model)["output/kernel"], weights_of(unrecovered.model)["output/kernel"])
    assert all(np.array_equal(result.masks[path], unrecovered.masks[path]) for path in result.masks)


def test_clustering_follows_any_method_and_keeps_zeros(data):
    result = prune(mlp(), "weight", sparsity=0.5, n_clusters=[3, 4, 5])
    kernels = [np.array(layer.kernel) for layer in prunable_layers(result.model)]
    assert [len(np.unique(kernel[kernel != 0])) for kernel in kernels] == [3, 4, 5]
    assert not kernels[0][~result.masks["dense_1/kernel"]].any()
    assert result.figures["n_clusters.output"] == 5


def test_what_a_person_must_know_is_said():
    assert "nothing was pruned" in prune(mlp(), "threshold", threshold=1e-9).warnings
    assert any("dense_1 is dead" in warning for warning in prune(mlp(), "threshold", threshold=9.0).warnings)
    assert not prune(mlp(), "weight", sparsity=0.0).warnings


def test_masks_survive_the_disk(tmp_path):
    masks = prune(mlp(), "unit", sparsity=0.3).masks
    prune_core.save_masks(tmp_path / "masks.npz", masks)
    loaded = prune_core.load_masks(tmp_path / "masks.npz")
    assert loaded.keys() == masks.keys()
    assert all(np.array_equal(loaded[path], masks[path]) for path in masks)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "importanc", "threshold": 1}, "unknown method 'importanc': did you mean 'importance'"),
        ({"method": "weight"}, "sparsity is missing"),
        ({"method": "weight", "sparsty": 0.5}, "'sparsty' is not a parameter: did you mean 'sparsity'?"),
        ({"method": "weight", "sparsity": 1.5}, "sparsity=1.5 must be a number in"),
        ({"method": "weight", "sparsity": float("nan")}, "sparsity=nan must be a number in"),
        ({"method": "weight", "sparsity": 0.5, "threshold": 0.1}, "threshold has no effect"),
        ({"method": "weight", "sparsity": 0.5, "score": "l2_norm"}, "l2_norm"),
        ({"method": "weight", "sparsity": 0.5, "recovery": "finetune"}, "recovery=finetune trains: give data=(x, y)"),
        ({"method": "importance", "threshold": 0.5}, "data"),
        ({"method": "cluster", "n_clusters": 0}, "n_clusters=0 must be a whole number >= 1"),
        ({"method": "cluster", "n_clusters": [4, 4]}, "3"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    with pytest.raises(UserError, match=r"\w") as caught:
        prune(mlp(), **arguments)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def open_ended() -> keras.Model:
    layers = [L.Conv1D(8, 3, activation="relu"), L.Conv1D(4, 1, activation="relu"), L.GlobalAveragePooling1D()]
    return keras.Sequential([keras.Input((None, 2)), *layers, L.Dense(3)])


@pytest.mark.parametrize("method", ["unit", "weight"])
def test_a_network_of_any_size_is_pruned_and_its_multiplications_are_left_out_and_that_is_said(method):
    result = prune(open_ended(), method, sparsity=0.5)
    assert result.figures["sparsity"] >= 0.5
    assert not {"macs", "macs_baseline"} & result.figures.keys()
    (warning,) = result.warnings
    assert warning.startswith("macs are left out, since the network takes samples of any size: layer 'conv1d")
    assert warning.endswith("give the shape of a sample, data=x")
    assert result.model.input_shape == (None, None, 2)


def test_data_tell_the_size_that_multiplications_are_counted_at():
    x = np.ones((4, 10, 2), "float32")
    for data in (x, (x, np.zeros(4, int))):
        result = prune(open_ended(), "unit", sparsity=0.5, data=data)
        assert result.figures["macs_baseline"] == 8 * (3 * 2 * 8 + 8 * 4) + 4 * 3
        assert result.figures["macs"] == 8 * (3 * 2 * 4 + 4 * 2) + 2 * 3
        assert result.warnings == ()
    assert "macs" not in prune(open_ended(), "unit", sparsity=0.5, data=x[..., :1]).figures


def test_of_several_inputs_of_any_size_multiplications_are_left_out():
    first, second = keras.Input((None, 2)), keras.Input((3,))
    joined = L.Concatenate()([L.GlobalMaxPooling1D()(L.Conv1D(4, 3)(first)), L.Dense(4)(second)])
    result = prune(keras.Model([first, second], L.Dense(2)(joined)), "weight", sparsity=0.5)
    assert "macs" not in result.figures
    assert "macs are left out" in result.warnings[0]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32"])
@pytest.mark.parametrize("taken", ["int32", "float32"])
def test_whole_numbers_for_an_embedding(dtype, taken):
    words = L.Embedding(9, 4)
    model = keras.Sequential(
        [keras.Input((None,), dtype=taken), words, L.Dense(6, activation="relu"), L.GlobalMaxPooling1D(), L.Dense(2)]
    )
    x = np.arange(40).reshape(8, 5) % 9
    result = prune(model, "importance", threshold=0.5, data=x.astype(dtype))
    assert result.by_products["input_relevance"].shape == (5,)
    np.testing.assert_array_equal(
        result.by_products["input_relevance"],
        prune(model, "importance", threshold=0.5, data=x.astype("int32")).by_products["input_relevance"],
    )
    trained = prune(model, "weight", sparsity=0.5, recovery="finetune", data=(x.astype(dtype), np.arange(8) % 2))
    assert trained.figures["macs_baseline"] == 5 * 4 * 6 + 6 * 2


def certain_sizes(shape: tuple, *first: L.Layer) -> keras.Model:
    inputs = keras.Input(shape)
    x = inputs
    for layer in first:
        x = layer(x)
    wide = L.Conv2D(4, 3, padding="same", activation="relu", name="wide")(x)
    deep = L.UpSampling2D()(L.MaxPooling2D()(wide))  # of even sizes only
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Concatenate()([wide, deep]))))


def test_a_network_of_any_even_size_is_shrunk():
    result = prune(certain_sizes((None, None, 1)), "unit", sparsity=0.5)
    assert result.figures["units.wide"] == 2
    assert result.figures["shrink_difference"] < 1e-5


def test_a_network_of_a_size_that_only_the_data_tell_is_shrunk_with_them():
    model = certain_sizes((None,), L.Reshape((6, 6, 1)))
    result = prune(model, "unit", sparsity=0.5, data=np.ones((3, 36), "float32"))
    assert result.figures["shrink_difference"] < 1e-5
    with pytest.raises(UserError, match="takes neither 96 nor 107: give data, or the shape of a sample"):
        prune(model, "unit", sparsity=0.5)
    assert prune_core.shrink(model, (36,)).max_difference < 1e-5
