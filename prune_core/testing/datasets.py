"""The suite of datasets."""

import copy
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_core.data import Dataset, DatasetInfo, describe, load
from prune_core.errors import UserError
from prune_core.testing.fresh import plans_lightly

SPLITS = ("train", "val", "test")
_DESCRIBE = "from prune_core.data import describe; describe(*arguments)"


class DatasetConformance:
    """Subclass it as `Test...`.

    Attributes:
        config: the whole section `datasets.<name>`, `loader` included; where it names files that a test makes, set it
            in a fixture of scope "class" that is used automatically.
        low, high: bounds of the values of x.
        cache: folder that files were fetched into before; None: a fresh one.
    """

    config: Mapping[str, Any]
    low: float = 0.0
    high: float = 1.0
    cache: Path | None = None
    name = "mine"

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where fetched files are kept."""
        return cls.cache or tmp_path_factory.mktemp("cache")

    @pytest.fixture(scope="class")
    @classmethod
    def loaded(cls, folder: Path) -> Dataset:
        """The dataset."""
        return load(cls.name, cls.config, folder)

    def test_it_is_described_wherever_a_sweep_is_planned(self) -> None:
        plans_lightly(_DESCRIBE, self.name, dict(self.config))

    def test_it_is_what_was_announced(self, loaded: Dataset) -> None:
        info = self._info()
        assert loaded.info == info, "load and describe say different things of it"
        for split, (x, y) in _parts(loaded).items():
            assert x.shape == (len(y), *info.input_shape), f"x_{split} has the shape {x.shape}"
            assert info.sizes[split] in (None, len(y)), f"{len(y)} samples in {split}, announced {info.sizes[split]}"

    def test_arrays_are_of_the_types_that_training_takes(self, loaded: Dataset) -> None:
        for split, (x, y) in _parts(loaded).items():
            assert (x.dtype, y.dtype) == (np.dtype("float32"), np.dtype("int64")), (
                f"{split} holds {x.dtype} and {y.dtype}"
            )
            assert all(array.flags.c_contiguous and not array.flags.writeable for array in (x, y))

    def test_values_are_finite_and_in_range(self, loaded: Dataset) -> None:
        for split, (x, _) in _parts(loaded).items():
            assert np.isfinite(x).all(), f"x_{split} holds values that are not finite"
            assert self.low <= x.min() < x.max() <= self.high, f"x_{split} is in [{x.min()}, {x.max()}]"

    def test_labels_are_class_indices_and_every_split_has_every_class(self, loaded: Dataset) -> None:
        for split, (_, y) in _parts(loaded).items():
            assert sorted(set(y.tolist())) == list(range(loaded.info.classes)), f"the classes of y_{split}"

    def test_the_validation_split_is_stratified(self, loaded: Dataset) -> None:
        shares = [np.bincount(y) / len(y) for y in (loaded.y_train, loaded.y_val)]
        allowed = 2 / len(loaded.y_train) + 2 / len(loaded.y_val)
        assert np.abs(shares[0] - shares[1]).max() <= allowed, "classes have other shares in it than in training"

    def test_samples_are_in_no_order_of_classes(self, loaded: Dataset) -> None:
        assert len(set(loaded.y_train[: len(loaded.y_train) // 2].tolist())) == loaded.info.classes

    def test_splits_share_no_sample_and_lose_none(self, loaded: Dataset, folder: Path) -> None:
        other = load(self.name, _with_another_validation_seed(self.config), folder)
        if self.config.get("train_limit") is None:
            assert _samples(loaded) == _samples(other), "another split has other samples: one was lost, or taken twice"
        assert loaded.digest != other.digest, "validation.seed changes nothing"
        assert self._info().fingerprint != other.info.fingerprint, "validation.seed is not in the fingerprint"

    def test_the_same_again_is_the_same(self, loaded: Dataset, folder: Path) -> None:
        before = copy.deepcopy(dict(self.config))
        assert load(self.name, self.config, folder).digest == loaded.digest, "other values the second time"
        assert self._info() == self._info()
        assert dict(self.config) == before, "it changes its configuration"

    def test_the_name_is_not_in_the_fingerprint(self) -> None:
        assert describe("another", self.config).fingerprint == self._info().fingerprint

    def test_a_misspelt_key_is_named(self) -> None:
        with pytest.raises(UserError, match=r"datasets\.mine\.mispelt"):
            describe(self.name, {**self.config, "mispelt": 1})

    def _info(self) -> DatasetInfo:
        return describe(self.name, self.config)


def _parts(data: Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {split: (getattr(data, f"x_{split}"), getattr(data, f"y_{split}")) for split in SPLITS}


def _with_another_validation_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    validation = config["validation"]
    return {**config, "validation": {**validation, "seed": validation["seed"] + 1}}


def _samples(data: Dataset) -> Counter[bytes]:
    """How often each labelled sample is in the training and the validation split together."""
    parts = [(data.x_train, data.y_train), (data.x_val, data.y_val)]
    return Counter(
        sample.tobytes() + bytes([label % 256]) for x, y in parts for sample, label in zip(x, y, strict=True)
    )
