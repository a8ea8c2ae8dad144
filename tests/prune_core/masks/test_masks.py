"""Masks in files and on networks."""

import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prune_core.errors import UserError
from prune_core.masks import apply_masks, count_parameters, kernel_sparsity, save_masks
from prune_core.masks.apply import load_masks, mask_sparsity
from prune_core.weights import prunable_layers

IN_TMP_PATH = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MASKS = st.dictionaries(
    st.text(max_size=12),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9).flatmap(lambda shape: hnp.arrays(bool, shape)),
    max_size=4,
)


def network() -> keras.Model:
    """2-3-2, output biased, weights 1, 2, 3, ... in every array."""
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, use_bias=False, name="dense_1")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(hidden))
    for layer in (model.get_layer("dense_1"), model.get_layer("output")):
        for weight in layer.weights:
            weight.assign(np.arange(1, 1 + weight.shape.num_elements()).reshape(weight.shape))
    return model


@IN_TMP_PATH
@given(MASKS)
def test_masks_come_back(tmp_path: Path, masks: dict[str, np.ndarray]):
    save_masks(tmp_path / "masks.npz", masks)
    back = load_masks(tmp_path / "masks.npz")
    assert list(back) == list(masks)
    for path, mask in masks.items():
        assert back[path].dtype == bool
        assert np.array_equal(back[path], mask)
    assert [file.name for file in tmp_path.iterdir()] == ["masks.npz"]


def test_masks_are_packed_eight_a_byte(tmp_path: Path):
    mask = np.random.default_rng(0).random((800, 800)) < 0.5
    save_masks(tmp_path / "masks.npz", {"dense_1/kernel": mask})
    assert (tmp_path / "masks.npz").stat().st_size < 800 * 800 / 8 + 1000
    with np.load(tmp_path / "masks.npz") as members:
        assert members.files == ["mask_0", "index"]
        assert np.array_equal(members["mask_0"], np.packbits(mask))


def test_saving_replaces_the_file_only_when_it_succeeds(tmp_path: Path):
    path = tmp_path / "masks.npz"
    save_masks(path, {"a": np.array([True, False])})
    with pytest.raises(UserError, match="'b' has dtype float64"):
        save_masks(path, {"a": np.array([True]), "b": np.array([0.5])})
    assert load_masks(path)["a"].tolist() == [True, False]


@IN_TMP_PATH
@given(st.data())
def test_damaged_files_are_refused_or_read(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "masks.npz"
    save_masks(path, {"a/kernel": np.eye(9, dtype=bool), "b": np.ones(3, bool)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        masks = load_masks(path)
    except UserError:
        return
    assert all(mask.dtype == bool for mask in masks.values())


def npz(**members: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=True, **members)
    return file.getvalue()


def index(**entry: object) -> np.ndarray:
    return np.frombuffer(json.dumps({"version": 1, "masks": [entry]}).encode(), np.uint8)


BITS = np.zeros(2, np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        npz(mask_0=BITS),
        npz(index=np.frombuffer(b'{"version": 2, "masks": []}', np.uint8)),
        npz(index=np.frombuffer(b"[]", np.uint8)),
        npz(index=index(path="a", shape=[9]), other=BITS),
        npz(index=index(path="a", shape=[8]), mask_0=BITS),
        npz(index=index(path="a", shape=[-1, -9]), mask_0=BITS),
        npz(index=index(path="a", shape=[10**30]), mask_0=BITS),
        npz(index=index(path="a", shape="9"), mask_0=BITS),
        npz(index=index(path=3, shape=[9]), mask_0=BITS),
        npz(index=index(path="a", shape=[9]), mask_0=BITS.astype(float)),
        npz(index=index(path="a", shape=[9]), mask_0=np.zeros(10_000_000, np.uint8)),
        npz(index=index(path="a", shape=[9]), mask_0=np.array([{}, {}])),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    (tmp_path / "masks.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"masks\.npz"):
        load_masks(tmp_path / "masks.npz")


def test_a_text_is_no_reason_to_speak_of_pickles(tmp_path: Path):
    (tmp_path / "masks.npz").write_text("hello")
    with pytest.raises(UserError, match="it is not a zip file"):
        load_masks(tmp_path / "masks.npz")


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere\.npz' does not exist"):
        load_masks(tmp_path / "nowhere.npz")


def test_masked_weights_are_zero_and_the_others_as_they_were():
    model = network()
    model.get_layer("dense_1").kernel.assign([[-1, np.nan, 3], [4, np.inf, 6]])
    apply_masks(model, {"dense_1/kernel": np.array([[False, False, True], [True, False, True]])})
    kernel = np.array(model.get_layer("dense_1").kernel)
    assert kernel.tolist() == [[0, 0, 3], [4, 0, 6]]
    assert not np.signbit(kernel).any()
    assert np.array(model.get_layer("output").bias).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"dense_1/kernels": np.ones((2, 3), bool)}, "did you mean 'dense_1/kernel'"),
        ({"dense_1/kernel": np.ones((3, 2), bool)}, r"shape \(3, 2\) but its weight has \(2, 3\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused_and_nothing_changes(masks: dict[str, np.ndarray], message: str):
    model = network()
    with pytest.raises(UserError, match=message):
        apply_masks(model, {"output/kernel": np.zeros((3, 2), bool), **masks})
    assert np.array(model.get_layer("output").kernel).ravel().tolist() == [1, 2, 3, 4, 5, 6]


def test_counts_by_hand():
    model = network()
    masks = {
        "dense_1/kernel": np.array([[True, False, False], [True, True, True]]),
        "output/bias": np.array([True, False]),
    }
    apply_masks(model, masks)
    assert mask_sparsity(masks) == 3 / 8
    assert mask_sparsity({}) == 0
    assert kernel_sparsity(model) == (2 / 12, {"dense_1": 2 / 6, "output": 0.0})
    assert kernel_sparsity(model, prunable_layers(model)[:1]) == (2 / 6, {"dense_1": 2 / 6})
    assert kernel_sparsity(model, []) == (0.0, {})
    assert count_parameters(model) == (6 + 6 + 2, 4 + 6 + 1)


def test_batch_normalization_counts_with_its_statistics():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    assert count_parameters(model) == (12, 6)  # gamma 1, beta 0, mean 0, variance 1


def test_a_layer_used_in_two_places_counts_once():
    inputs = keras.Input((3,))
    shared = keras.layers.Dense(3, name="shared")
    first, second = (keras.Sequential([keras.Input((3,)), shared], name=name) for name in ("first", "second"))
    assert count_parameters(keras.Model(inputs, second(first(inputs))))[0] == 12
