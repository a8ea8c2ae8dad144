"""Samples in the shape that a network takes them in: an axis of length 1 at the end comes or goes, nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from prune_core.data.base import Dataset
from prune_core.errors import UserError

Shape = tuple[int, ...]


def fitted_shape(given: Sequence[int], wanted: Sequence[int | None]) -> Shape | None:
    """The shape that samples get for a network, or None if they do not fit it.

    Images without a channel are images of one channel, and a series of numbers is one of a single feature: a last axis
    of length 1 is added or dropped, as the network has it. No value moves.

    Args:
        given: shape of one sample.
        wanted: what the network takes; None for an axis of any length.
    """
    candidates = [tuple(given), (*given, 1)]
    if len(given) > 1 and given[-1] == 1:
        candidates.append(tuple(given[:-1]))
    return next((shape for shape in candidates if fits(shape, wanted)), None)


def fits(given: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether samples of a shape fit an input whose axes may be open (None)."""
    return len(given) == len(wanted) and all(b in (None, a) for a, b in zip(given, wanted, strict=True))


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
