"""Datasets with their samples in the shape that a network takes."""

from collections.abc import Sequence
from dataclasses import replace

from prune_core.data.base import Dataset
from prune_core.errors import UserError
from prune_core.network.sample_shape import fits as fits
from prune_core.network.sample_shape import fitted_shape as fitted_shape


def fit_samples(data: Dataset, wanted: Sequence[int | None]) -> Dataset:
    """The same dataset with its samples in the shape that a network takes; `info` and all values stay as they are.

    Raises:
        UserError: the samples do not fit.
    """
    shape = fitted_shape(data.x_train.shape[1:], wanted)
    if shape is None:
        raise UserError(f"samples of shape {data.x_train.shape[1:]} do not fit a network that takes {tuple(wanted)}")
    if shape == data.x_train.shape[1:]:
        return data
    x_train, x_val, x_test = (x.reshape(len(x), *shape) for x in (data.x_train, data.x_val, data.x_test))
    return replace(data, x_train=x_train, x_val=x_val, x_test=x_test)
