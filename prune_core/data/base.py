"""What a dataset is, and what somebody writes to add a kind of dataset."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prune_core.data.values import Scaling
from prune_core.registry import Registry
from prune_core.settings import Settings


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a dataset before it is loaded.

    Attributes:
        name: name in the configuration, e.g. "mnist_5k".
        input_shape: shape of one sample, (height, width, channels), or (features,).
        classes: number of classes; labels are 0 ... classes - 1.
        fingerprint: sha256 (hex) over all that determines the arrays: checksums of the source, loader, splits, subset.
            The name is not part of it: equal arrays have equal fingerprints.
        sizes: samples in "train", "val" and "test"; None where only loading tells.
        scaling: what becomes of the numbers where that depends on the network; None where it does not.
        remark: how a person's own file was understood, if that may surprise the person; "" if not.
    """

    name: str
    input_shape: tuple[int, ...]
    classes: int
    fingerprint: str
    sizes: Mapping[str, int | None]
    scaling: Scaling | None = None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset's arrays: all are C-contiguous and read-only.

    Attributes:
        info: what was known before loading.
        x_train: float32, (samples, *info.input_shape), or as `fit_samples` made it; `x_val` and `x_test` likewise.
        y_train: int64 class indices, (samples,); `y_val` and `y_test` likewise.
    """

    info: DatasetInfo
    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the names, shapes, types and all values of the six arrays."""
        digest = hashlib.sha256()
        for name in (f.name for f in fields(self) if f.name != "info"):
            array = getattr(self, name)
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(memoryview(array).cast("B"))
        return digest.hexdigest()


@dataclass(frozen=True)
class Contents:
    """What a loader knows about its arrays without loading them.

    Attributes:
        input_shape: shape of one sample.
        classes: number of classes.
        train: samples to train on, before a test or validation split is cut from them; None if unknown.
        test: samples of the source's own test split; None if unknown; 0 if there is none, and one has to be cut.
        identity: JSON-ready; determines the arrays (checksums, shapes, scaling), and nothing else (no paths).
        scaling, remark: as in `DatasetInfo`.
    """

    input_shape: tuple[int, ...]
    classes: int
    train: int | None
    test: int | None
    identity: Mapping[str, Any]
    scaling: Scaling | None = None
    remark: str = ""


@dataclass(frozen=True)
class RawArrays:
    """A source's arrays before splitting: x float32 (samples, *input_shape), y integer class indices (samples,).

    `x_test` and `y_test` are None where the source has no test split of its own (`Contents.test` is 0).
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None


@dataclass(frozen=True)
class Loader:
    """How one kind of dataset is described and loaded; `DATASETS` holds them by name.

    Attributes:
        keys: configuration keys that it knows besides the common ones (`loader`, `test`, `validation`, `train_limit`).
        describe: settings -> contents. Called while planning: quick, no network, no TensorFlow, scikit-learn or pandas.
        load: (settings, cache folder of this dataset) -> arrays. Has to check that they are what `describe` announced.
            Common code then checks labels and shapes, cuts the splits and makes everything read-only.

    Both raise UserError, naming the key or file at fault, for what a person can correct.
    """

    keys: frozenset[str]
    describe: Callable[[Settings], Contents]
    load: Callable[[Settings, Path], RawArrays]


DATASETS: Registry[Loader] = Registry("dataset loader", "prune_core.datasets")
"""Loaders by the name that `datasets.<name>.loader` gives; other packages add theirs by entry points."""
