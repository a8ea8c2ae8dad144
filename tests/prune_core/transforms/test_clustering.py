"""k-means in one dimension, and weights shared by it."""

from itertools import combinations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import KMeans

from prune_core.errors import UserError
from prune_core.transforms.clustering import cluster_weights
from prune_core.transforms.kmeans import Codebook, kmeans_1d
from prune_core.weights import weight_variables

FLOATS = st.floats(-100, 100, width=32)


def inertia(values: np.ndarray, book: Codebook) -> float:
    return float(np.sum((values.astype(float) - book.centers.astype(float)[book.indices]) ** 2))


def best_inertia(values: np.ndarray, k: int) -> float:
    """The optimum, by trying all ways to cut the sorted values."""
    ordered = np.sort(values.astype(float))
    ways = combinations(range(1, ordered.size), k - 1)
    return min(sum(float(np.var(part)) * part.size for part in np.split(ordered, cuts)) for cuts in ways)


def network(*units: int, use_bias: bool = True) -> keras.Model:
    """Dense layers dense_0, dense_1, ... of the given sizes, the first the input's; weights of seeded noise."""
    tensor = inputs = keras.Input((units[0],))
    for number, size in enumerate(units[1:]):
        tensor = keras.layers.Dense(size, use_bias=use_bias, name=f"dense_{number}")(tensor)
    model = keras.Model(inputs, tensor)
    generator = np.random.default_rng(0)
    for variable in weight_variables(model).values():
        variable.assign(generator.normal(size=variable.shape))
    return model


def kernel(model: keras.Model, name: str) -> np.ndarray:
    return keras.ops.convert_to_numpy(model.get_layer(name).kernel)


def test_two_groups_by_hand():
    book = kmeans_1d(np.array([[10.0, 1.0, 2.0], [11.0, 12.0, 3.0]], np.float32), 2)
    assert book.centers.tolist() == [2.0, 11.0]
    assert book.centers.dtype == np.float32
    assert book.indices.tolist() == [[1, 0, 0], [1, 1, 0]]


def test_repeated_values_weigh_as_often_as_they_occur():
    assert kmeans_1d(np.float32([0, 0, 0, 1, 9]), 2).centers.tolist() == [0.25, 9.0]


@settings(deadline=None, max_examples=200)
@given(hnp.arrays(np.float32, st.integers(2, 10), elements=FLOATS), st.integers(1, 5))
def test_is_optimal(values: np.ndarray, k: int):
    k = min(k, values.size)
    book = kmeans_1d(values, k)
    rounding = 1e-6 * max(1.0, float(np.abs(values).max())) ** 2
    assert inertia(values, book) <= best_inertia(values, k) + rounding
    assert book.centers.size <= k
    assert (np.diff(book.centers) > 0).all()


@settings(deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_as_many_clusters_as_values_change_nothing(values: np.ndarray):
    book = kmeans_1d(values, max(1, np.unique(values).size))
    assert np.array_equal(book.centers[book.indices], values)


@pytest.mark.parametrize("k", [3, 16, 1500])
def test_many_values_are_clustered_no_worse_than_scikit_learn_does(k: int):
    values = np.random.default_rng(1).standard_t(4, 20_000).astype(np.float32)
    start = np.quantile(values, (np.arange(k) + 0.5) / k)[:, None]
    theirs = KMeans(k, init=start, n_init=1).fit(values[:, None]).inertia_
    book = kmeans_1d(values, k)
    assert book.centers.size == k
    assert inertia(values, book) <= theirs * 1.0001


def test_an_outlier_and_a_crowd_leave_room_for_the_rest():
    crowd, rest = np.zeros(100_000), np.linspace(1, 2, 5000)
    book = kmeans_1d(np.concatenate([crowd, rest, [1e6]]).astype(np.float32), 10)
    assert book.centers.size == 10
    assert book.centers[[0, -1]].tolist() == [0.0, 1e6]
    assert np.abs(np.diff(book.centers[1:-1]) - 1 / 8).max() < 1e-3


def test_a_large_offset_costs_no_precision():
    values = np.random.default_rng(2).normal(size=300)
    shifted = kmeans_1d(values + 1e6, 5)
    assert np.array_equal(shifted.indices, kmeans_1d(values, 5).indices)


@pytest.mark.parametrize("values", [[1.0, np.nan], [np.inf, 1.0]])
def test_values_that_are_not_finite_are_refused(values: list[float]):
    with pytest.raises(UserError, match="finite"):
        kmeans_1d(np.array(values), 1)


def test_zeros_stay_and_count_as_one_value():
    model = network(20, 30, 4)
    weights = kernel(model, "dense_0")
    weights[np.abs(weights) < 0.5] = 0
    model.get_layer("dense_0").kernel.assign(weights)
    before = {path: keras.ops.convert_to_numpy(v) for path, v in weight_variables(model).items()}
    result = cluster_weights(model, 3)
    after = {path: keras.ops.convert_to_numpy(v) for path, v in weight_variables(model).items()}
    assert np.array_equal(after["dense_0/kernel"] == 0, before["dense_0/kernel"] == 0)
    assert np.array_equal(after["dense_0/bias"], before["dense_0/bias"])
    assert result.n_clusters == {"dense_0": 3, "dense_1": 3}
    assert result.unique_values == 7
    for name in ("dense_0", "dense_1"):
        values = after[f"{name}/kernel"]
        assert np.unique(values[values != 0]).tolist() == result.codebooks[f"{name}/kernel"].tolist()


def test_a_layer_has_its_own_number_and_biases_join_its_codebook():
    model = network(6, 10, 8, 5)
    result = cluster_weights(model, [4, 3, 2], include_biases=True)
    assert result.n_clusters == {"dense_0": 4, "dense_1": 3, "dense_2": 2}
    assert result.unique_values == 9
    for name in result.n_clusters:
        layer = model.get_layer(name)
        both = np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in (layer.kernel, layer.bias)])
        assert set(both) == set(result.codebooks[f"{name}/kernel"])
        assert np.array_equal(result.codebooks[f"{name}/bias"], result.codebooks[f"{name}/kernel"])


def test_enough_clusters_leave_the_network_bit_for_bit():
    model = network(5, 7, 3)
    before = model.get_weights()
    result = cluster_weights(model, 1000, include_biases=True)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, model.get_weights(), strict=True))
    assert result.n_clusters == {"dense_0": 5 * 7 + 7, "dense_1": 7 * 3 + 3}


def test_a_weight_that_is_not_zero_does_not_become_zero():
    model = network(2, 1, use_bias=False)
    model.get_layer("dense_0").kernel.assign([[-1.0], [1.0]])
    result = cluster_weights(model, 1)
    assert np.count_nonzero(kernel(model, "dense_0")) == 2
    assert np.abs(kernel(model, "dense_0")).max() < 1e-37
    assert result.n_clusters == {"dense_0": 1}


def test_a_layer_of_zeros_has_no_clusters():
    model = network(3, 2, 2, use_bias=False)
    model.get_layer("dense_0").kernel.assign(np.zeros((3, 2)))
    result = cluster_weights(model, 2)
    assert result.n_clusters == {"dense_0": 0, "dense_1": 2}
    assert result.unique_values == 3
    assert result.codebooks["dense_0/kernel"].size == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_types_keep_their_type(dtype: str):
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8, dtype=dtype, name="dense_0")])
    result = cluster_weights(model, 4)
    assert result.codebooks["dense_0/kernel"].dtype == kernel(model, "dense_0").dtype
    values = kernel(model, "dense_0")
    assert np.unique(values[values != 0]).size == result.n_clusters["dense_0"] == 4


def test_a_list_of_the_wrong_length_is_refused_by_name():
    with pytest.raises(UserError, match=r"3 numbers .* 2 layers .*: dense_0, dense_1"):
        cluster_weights(network(3, 3, 3), [2, 2, 2])


@pytest.mark.parametrize("count", [0, [2, 0]])
def test_less_than_one_cluster_is_refused(count: int | list[int]):
    with pytest.raises(UserError, match="at least 1"):
        cluster_weights(network(3, 3, 3), count)


def test_weights_that_are_not_finite_are_refused_by_layer():
    model = network(3, 3, 3)
    model.get_layer("dense_1").kernel.assign(np.full((3, 3), np.nan))
    with pytest.raises(UserError, match="dense_1"):
        cluster_weights(model, 2)
