"""Labels as people keep them, made class indices: whole numbers, a column of them, or one-hot rows.

What is unambiguous is taken as it is meant; everything else is refused in a sentence whose advice keeps the labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.errors import UserError

_TOO_LARGE = 2**63
# Rows that are looked at together: one-hot labels of many classes may be larger than the samples.
_ROWS = 100_000


@dataclass(frozen=True)
class Labels:
    """The labels of some samples.

    Attributes:
        indices: class indices >= 0, int64, (samples,).
        columns: classes that one-hot rows tell of; None where labels are class indices.
    """

    indices: np.ndarray
    columns: int | None = None


def check_layout(where: str, shape: Sequence[int], dtype: np.dtype[Any], samples: int) -> None:
    """Refuse, without reading a value, an array that cannot hold one label a sample.

    Args:
        where: how messages call the array, e.g. "datasets.npz.path=/data/mine.npz: y_train".
        shape, dtype: of the array.
        samples: how many there are.

    Raises:
        UserError: a type that is not a number, another count of labels than of samples, or too many axes.
    """
    if dtype.hasobject or dtype.kind not in "biuf":
        advice = "store class indices as integers from 0 on"
        if dtype.kind in "US":
            advice = "number the classes from 0 on, alike in every split, for instance by their place in a sorted list"
        raise UserError(f"{where} has type {dtype}, not numbers: {advice}")
    if _is_one_each(shape, samples) or (_columns(shape, samples) or 0) > 1:
        return
    found = shape[0] if len(shape) else 0
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        raise UserError(f"{where} has {found} labels for {samples} samples: there must be as many")
    raise UserError(
        f"{where} has shape {tuple(shape)} for {samples} samples: give one class index a sample, ({samples},), "
        f"or one-hot rows, ({samples}, classes)"
    )


def class_indices(where: str, y: np.ndarray, samples: int) -> Labels:
    """The class of each sample.

    Args:
        where: how messages call the array.
        y: numbers, whole or true/false: (samples,), the same with further axes of length 1, or (samples, classes) with
            a single 1 in each row.
        samples: how many there are.

    Raises:
        UserError: what `check_layout` raises; fractions, NaN, negative numbers, or several labels a sample.
    """
    check_layout(where, y.shape, y.dtype, samples)
    if _is_one_each(y.shape, samples):
        return Labels(_whole(where, y.reshape(samples)))
    rows = y.reshape(samples, -1)
    return Labels(_places_of_ones(where, rows), rows.shape[1])


def _is_one_each(shape: Sequence[int], samples: int) -> bool:
    """Whether there is one value a sample, whichever axis the samples lie along."""
    return len(shape) > 0 and math.prod(shape) == samples and all(n in (1, samples) for n in shape)


def _columns(shape: Sequence[int], samples: int) -> int | None:
    """Values a sample, if the samples lie along the first axis and only one other axis is longer than 1."""
    longer = [n for n in shape[1:] if n != 1]
    return longer[0] if len(shape) and shape[0] == samples and len(longer) == 1 else None


def _whole(where: str, y: np.ndarray) -> np.ndarray:
    if y.dtype.kind == "f":
        if np.isnan(y).any():
            raise UserError(f"{where} holds NaN: label these samples or leave them out")
        fractions = y[y != np.floor(y)]
        if len(fractions):
            raise UserError(
                f"{where} holds {fractions[0]:g}, which is not the number of a class: give whole numbers from 0 on"
            )
    low, high = (y.min().item(), y.max().item()) if len(y) else (0, 0)
    if low < 0 or high >= _TOO_LARGE:
        wrong = low if low < 0 else high
        fix = ", (y > 0).astype(int)" if set(np.unique(y).tolist()) == {-1, 1} else ""
        raise UserError(f"{where} holds the label {wrong}: number the classes from 0 on{fix}")
    return y.astype(np.int64)


def _places_of_ones(where: str, rows: np.ndarray) -> np.ndarray:
    """The column of the only 1 of each row."""
    parts = [np.zeros(0, np.int64)]
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        ones = part == 1
        if not (ones | (part == 0)).all():
            raise UserError(
                f"{where} has {rows.shape[1]} columns that are not one-hot, since they hold other values than 0 and 1: "
                "give one class index a sample"
            )
        count = np.count_nonzero(ones, axis=1)
        if (count > 1).any():
            raise UserError(
                f"{where} gives several labels a sample (sample {start + int(np.argmax(count > 1))} has "
                f"{count.max()}): only classification with one label a sample is possible"
            )
        if (count == 0).any():
            raise UserError(
                f"{where} gives sample {start + int(np.argmin(count))} no label: label it or leave it out; only "
                "classification with one label a sample is possible"
            )
        parts.append(ones.argmax(axis=1))
    return np.concatenate(parts)
