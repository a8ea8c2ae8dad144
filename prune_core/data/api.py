"""`describe` and `load`: what all datasets have in common, whatever their loader."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prune_core.data.base import DATASETS, Contents, Dataset, DatasetInfo, Loader, RawArrays
from prune_core.data.split import part_size, stratified_split
from prune_core.errors import UserError
from prune_core.settings import Settings

# Raise it when the arrays made from the same configuration change: it is part of every fingerprint.
FINGERPRINT_VERSION = 1
COMMON_KEYS = frozenset({"loader", "test", "validation", "train_limit"})

# Samples of a class that a cut leaves in the training set: the validation cut needs one to take and one to leave.
TEST_CUT_LEAVES = 2
VALIDATION_CUT_LEAVES = 1


@dataclass(frozen=True)
class _Cut:
    """A part of the training set to be split off."""

    fraction: float
    seed: int

    @classmethod
    def read(cls, settings: Settings) -> "_Cut":
        settings.refuse_unknown({"fraction", "seed"})
        return cls(settings.fraction("fraction"), settings.count("seed", least=0))


@dataclass(frozen=True)
class _CheckedDataset:
    """A dataset's configuration, read and checked."""

    loader: Loader
    settings: Settings
    contents: Contents
    test: _Cut | None
    validation: _Cut
    train_limit: int | None

    @classmethod
    def read(cls, name: str, config: Mapping[str, Any]) -> "_CheckedDataset":
        settings = Settings(f"datasets.{name}", config)
        loader = settings.entry("loader", DATASETS)
        settings.refuse_unknown(loader.keys | COMMON_KEYS)
        validation = _Cut.read(settings.section("validation"))
        train_limit = settings.count("train_limit") if settings.get("train_limit") is not None else None
        contents = loader.describe(settings)
        if train_limit is not None and train_limit < contents.classes:
            key = settings.path("train_limit")
            raise UserError(f"{key}={train_limit} is too small: set at least {contents.classes}, one a class")
        test = _Cut.read(settings.section("test")) if contents.test == 0 else None
        return cls(loader, settings, contents, test, validation, train_limit)

    def info(self, name: str) -> DatasetInfo:
        contents = self.contents
        determined_by = {
            "version": FINGERPRINT_VERSION,
            "loader": self.settings.text("loader"),
            "identity": contents.identity,
            "input_shape": contents.input_shape,
            "classes": contents.classes,
            "test": self.test and vars(self.test),
            "validation": vars(self.validation),
            "train_limit": self.train_limit,
        }
        canonical = json.dumps(determined_by, sort_keys=True, separators=(",", ":"), allow_nan=False)
        fingerprint = hashlib.sha256(canonical.encode()).hexdigest()
        described = (contents.input_shape, contents.classes, fingerprint, self.sizes())
        return DatasetInfo(name, *described, contents.scaling, contents.remark)

    def sizes(self) -> dict[str, int | None]:
        train, test = self.contents.train, self.contents.test
        if train is None:
            return {"train": None, "val": None, "test": test or None}
        if self.test:
            test = part_size(train, self.contents.classes, self.test.fraction, TEST_CUT_LEAVES)
            train -= test
        val = part_size(train, self.contents.classes, self.validation.fraction, VALIDATION_CUT_LEAVES)
        train -= val
        return {"train": min(train, self.train_limit or train), "val": val, "test": test}


def describe(name: str, config: Mapping[str, Any]) -> DatasetInfo:
    """What a dataset is, without loading it: milliseconds, no network, no TensorFlow.

    Of a user's own file, only what is needed to refuse a wrong one early is read (see `prune_core.data.npz`).

    Args:
        name: name of the dataset, used in messages: its keys are `datasets.<name>.<key>`.
        config: the dataset's plain configuration, as in `conf/dataset/<name>.yaml`.

    Raises:
        UserError: a key or file is wrong.
    """
    return _CheckedDataset.read(name, config).info(name)


def load(name: str, config: Mapping[str, Any], cache_dir: Path) -> Dataset:
    """A dataset's arrays, checked against their checksums.

    Args:
        name: as for `describe`.
        config: as for `describe`. The result's `info` equals what `describe` says of it; where a user's file may have
            changed since the plan was made, compare their fingerprints.
        cache_dir: fetched files are kept in `<cache_dir>/<name>/`.

    Raises:
        UserError: a key or file is wrong, or no source of the files can be reached.
    """
    checked = _CheckedDataset.read(name, config)
    raw = checked.loader.load(checked.settings, Path(cache_dir) / name)
    _check(checked, raw)
    x_train, y_train, x_test, y_test = raw.x_train, raw.y_train, raw.x_test, raw.y_test
    if checked.test:
        first, second = _cut(checked, y_train, checked.test, "test", TEST_CUT_LEAVES)
        x_train, y_train, x_test, y_test = x_train[first], y_train[first], x_train[second], y_train[second]
    first, second = _cut(checked, y_train, checked.validation, "validation", VALIDATION_CUT_LEAVES)
    if checked.train_limit and checked.train_limit < len(first):
        _, chosen = stratified_split(y_train[first], checked.train_limit, checked.validation.seed, leave=0)
        first = first[chosen]
    return Dataset(
        checked.info(name),
        x_train=_final(x_train[first], np.float32),
        y_train=_final(y_train[first], np.int64),
        x_val=_final(x_train[second], np.float32),
        y_val=_final(y_train[second], np.int64),
        x_test=_final(x_test, np.float32),
        y_test=_final(y_test, np.int64),
    )


def check_labels(key: str, y_train: np.ndarray, classes: int, test_is_cut: bool) -> None:
    """Every class occurs in `y_train`, often enough to be split.

    Raises:
        UserError: naming `key`, a file or a key of the configuration.
    """
    present, counts = np.unique(y_train, return_counts=True)
    absent = np.setdiff1d(np.arange(min(classes, len(y_train) + 1)), present)
    if len(absent):
        raise UserError(
            f"{key}: class {absent[0]} of {classes} has no training sample: add some, or number the classes from 0 on"
        )
    needed = 1 + (TEST_CUT_LEAVES if test_is_cut else VALIDATION_CUT_LEAVES)
    if counts.min() < needed:
        parts = "train, validation and test" if test_is_cut else "train and validation"
        raise UserError(
            f"{key}: class {present[counts.argmin()]} has {counts.min()} training sample(s), "
            f"{needed} are needed to split it into {parts}: add samples or drop the class"
        )


def _cut(checked: _CheckedDataset, y: np.ndarray, cut: _Cut, what: str, leave: int) -> tuple[np.ndarray, np.ndarray]:
    size = part_size(len(y), checked.contents.classes, cut.fraction, leave)
    try:
        return stratified_split(y, size, cut.seed, leave)
    except ValueError as error:
        raise UserError(
            f"{checked.settings.path(what)}.fraction={cut.fraction} does not fit this dataset: {error}"
        ) from error


def _check(checked: _CheckedDataset, raw: RawArrays) -> None:
    """Check what a loader delivers, so that a mistake in it is found here and not during training."""
    key, contents = checked.settings.where, checked.contents
    if (raw.x_test is None) != (checked.test is not None) or (raw.x_test is None) != (raw.y_test is None):
        raise UserError(f"{key}: its loader delivers a test split other than it announced: correct the loader")
    for part, x, y in (("train", raw.x_train, raw.y_train), ("test", raw.x_test, raw.y_test)):
        if x is None or y is None:
            continue
        if x.shape != (len(y), *contents.input_shape) or y.shape != (len(y),):
            raise UserError(
                f"{key}: x_{part} has shape {x.shape} and y_{part} {y.shape}, not (n, "
                f"{', '.join(map(str, contents.input_shape))}) and (n,): correct the file or the declared input_shape"
            )
        if not len(y) or y.min() < 0 or y.max() >= contents.classes:
            raise UserError(
                f"{key}: y_{part} must hold class indices 0 ... {contents.classes - 1}: correct them or `classes`"
            )
        if not np.isfinite(x).all():
            raise UserError(f"{key}: x_{part} holds NaN or infinite values: replace them")
    check_labels(key, raw.y_train, contents.classes, checked.test is not None)


def _final(array: np.ndarray | None, dtype: type) -> np.ndarray:
    result: np.ndarray = np.array(array, dtype=dtype, order="C")
    result.setflags(write=False)
    return result
