"""The data that a person hands to `prune`: understood, or refused in one sentence before a network gets them."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.tasks import class_indices, is_single

_SPLITS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")


def as_splits(data: Any) -> Any:
    """An object with x_train, y_train, x_val, ... of what was given: None, such an object, x, or (x, y).

    Raises:
        UserError: something else.
    """
    if data is None or hasattr(data, "x_train"):
        return data
    if isinstance(data, tuple) and len(data) != 2:
        raise UserError(f"data is a tuple of {len(data)}: give data=x or data=(x, y)")
    x, y = data if isinstance(data, tuple) else (data, None)
    x, y = _numbers("x", x), None if y is None else _numbers("y", y)
    return SimpleNamespace(x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y)


def with_class_indices(data: Any) -> Any:
    """The same splits with class indices as labels, whichever form of `prune_core.tasks.labels` they are given in.

    Raises:
        UserError: labels that do not tell one class a sample.
    """
    splits = {name: getattr(data, name, None) for name in _SPLITS}
    same = splits["y_train"] is splits["y_val"] is splits["y_test"]
    for split in ("train", "val", "test"):
        x, y = splits[f"x_{split}"], splits[f"y_{split}"]
        if x is not None and y is not None:
            name = "y" if same else f"y_{split}"
            splits[f"y_{split}"] = class_indices(f"data: {name}", np.asarray(y), len(x)).indices
    return SimpleNamespace(**splits)


def check_samples(model: keras.Model, x: np.ndarray) -> None:
    """Refuse samples that the network cannot take.

    Raises:
        UserError: several inputs, no samples, samples of another shape, or numbers that are not finite.
    """
    if len(model.inputs) != 1:
        raise UserError(
            f"the network {model.name!r} has {len(model.inputs)} inputs, and only networks with one can be trained or "
            "scored on data: use a method without data, such as weight or unit"
        )
    wanted = tuple(model.inputs[0].shape[1:])
    if len(x) == 0:
        raise UserError("data has no samples: give at least one")
    if len(wanted) != x.ndim - 1 or any(a not in (None, b) for a, b in zip(wanted, x.shape[1:], strict=True)):
        raise UserError(f"data: x has samples of shape {x.shape[1:]} but the network takes {wanted}: reshape x")
    if not np.isfinite(x).all():
        count = np.count_nonzero(~np.isfinite(x))
        raise UserError(f"data: {count} of the {x.size} numbers in x are not finite: clean them")


def check_training_data(model: keras.Model, data: Any) -> None:
    """Refuse a network or data (labels as `with_class_indices` gives them) that a classifier cannot be trained with.

    Raises:
        UserError: what `check_samples` raises; a network that does not end in one output of at least two classes, or
            of one number that tells two classes apart; a split that is missing; labels beyond the classes.
    """
    absent = [name for name in _SPLITS if getattr(data, name, None) is None]
    if absent:
        raise UserError(f"data has no {absent[0]}: training needs all of {', '.join(_SPLITS)}, or data=(x, y)")
    check_samples(model, data.x_train)
    shapes = [tuple(output.shape) for output in model.outputs]
    is_classifier = len(shapes) == 1 and (is_single(model) or len(shapes[0]) == 2)
    classes = (2 if is_single(model) else shapes[0][1]) if is_classifier else None
    if classes is None:
        found = " and ".join(map(str, shapes))
        raise UserError(
            f"the network {model.name!r} has outputs of shape {found}, and training needs one of shape "
            "(None, classes), or (None, 1) for two classes: use a method and recovery that do not train"
        )
    for split in ("train", "val", "test"):
        _check_labels(getattr(data, f"x_{split}"), getattr(data, f"y_{split}"), classes)


def _check_labels(x: np.ndarray, y: np.ndarray, classes: int) -> None:
    if len(x) == 0:
        raise UserError("data has a split without samples: give each of them at least one")
    if y.min() < 0 or y.max() >= classes:
        raise UserError(
            f"data: y holds labels from {y.min()} to {y.max()} but the network has {classes} classes: give class "
            f"indices from 0 to {classes - 1}"
        )


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"data: {name} is not an array, its parts differ in shape: give data=x or (x, y)") from error
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        kind = type(values).__name__ if array.ndim == 0 or array.dtype == object else f"array of {array.dtype}"
        raise UserError(f"data: {name} must be an array of numbers, one entry a sample, not {kind}: give NumPy arrays")
    return array
