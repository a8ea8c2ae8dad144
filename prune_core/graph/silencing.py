"""Masks that silence units: what a network looks like just before its units are removed physically."""

from collections.abc import Collection

import keras
import numpy as np

from prune_core.graph.classes import ChannelClasses
from prune_core.weights import weight_variables


def unit_masks(
    model: keras.Model, classes: ChannelClasses, removed: Collection[int] | np.ndarray
) -> dict[str, np.ndarray]:
    """Masks that make every unit of some classes silent.

    A silent unit's kernel column and bias entry are masked, and gamma and beta of every batch normalization that
    follows it (of one without gamma the moving mean, which would leave a constant). So it is 0 up to its activation.

    Args:
        model: the network that `classes` were traced in, or one with the same layers.
        classes: from `channel_classes(model)`.
        removed: ids of the classes to silence.

    Returns:
        {weight path: bool array of the weight's shape, True = kept} for every weight that is masked with a unit, all
        True where no unit of a layer goes. Weights of layers that are pinned throughout are left out.

    Raises:
        ValueError: a class is pinned or does not exist.
    """
    gone = np.zeros(len(classes.pinned), dtype=bool)
    chosen = np.fromiter(removed, dtype=np.int64) if not isinstance(removed, np.ndarray) else removed.astype(np.int64)
    if ((chosen < 0) | (chosen >= len(gone))).any():
        raise ValueError(f"class ids run from 0 to {len(gone) - 1}, not from {chosen.min()} to {chosen.max()}")
    gone[chosen] = True
    if (gone & classes.pinned).any():
        raise ValueError(f"class {int(np.flatnonzero(gone & classes.pinned)[0])} is pinned and cannot be removed")
    variables = weight_variables(model)
    masks = {}
    for path, (axis, ids) in classes.silenced.items():
        if not classes.pinned[ids].all():
            shape = [1] * len(variables[path].shape)
            shape[axis] = len(ids)
            masks[path] = np.broadcast_to(~gone[ids].reshape(shape), variables[path].shape).copy()
    return masks
