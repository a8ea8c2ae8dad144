"""Weights that several layers share: which they are, and how a network of the same layers comes to share them again."""

from dataclasses import dataclass

import keras

from prune_core.errors import UserError
from prune_core.network.keras_internals import own_weights, put_weight
from prune_core.network.places import Place, places


@dataclass(frozen=True)
class Shared:
    """A weight that a layer shares with one before it.

    Attributes:
        path: place of the weight in this layer.
        first: its place in the first layer that has it.
        keeps_own: whether the layer still owns the weight that it was built with, which nothing computes with.
    """

    path: str
    first: str
    keeps_own: bool = False


def shared_weights(model: keras.Model) -> list[Shared]:
    """All weights of a network that layers share, in the order of the layers.

    A layer that is used twice at one place shares nothing; one that is a part of two models does, and so do layers
    whose weights were made the same by hand.
    """
    first: dict[int, Place] = {}
    found: list[Shared] = []
    for place in places(model):
        if place.attribute is None or getattr(place.layer, place.attribute, None) is not place.variable:
            continue  # it cannot be set
        before = first.setdefault(id(place.variable), place)
        if before.path != place.path and not _wraps(place, before):
            found.append(Shared(place.path, before.path, before.layer is not place.layer and _keeps_own(place)))
    return found


def share_again(model: keras.Model, shared: list[Shared]) -> None:
    """Make a rebuilt network share the weights that its original shares, in place.

    Raises:
        UserError: a place that the network does not have, or weights of other shapes or types.
    """
    found = {place.path: place for place in places(model)} if shared else {}
    for one in shared:
        if one.path not in found or one.first not in found:
            raise UserError(f"weights of {model.name!r} cannot be shared: it has no {one.path!r} or no {one.first!r}")
        place, weight = found[one.path], found[one.first].variable
        if place.variable is weight:
            continue
        if (place.variable.shape, place.variable.dtype) != (weight.shape, weight.dtype) or place.attribute is None:
            raise UserError(
                f"{one.path!r} of {model.name!r} cannot share the weight {one.first!r}: it has another shape"
            )
        _set(place, weight, one.keeps_own)


def _set(place: Place, weight: keras.Variable, keeps_own: bool) -> None:
    put_weight(place.layer, str(place.attribute), weight, instead_of=None if keeps_own else place.variable)


def _wraps(place: Place, inner: Place) -> bool:
    """Whether a layer only points at a weight of a layer inside it, as `SpectralNormalization` does."""
    return inner.path.startswith(place.path.rpartition("/")[0] + "/") and inner.layer is not place.layer


def _keeps_own(place: Place) -> bool:
    attributes = vars(place.layer).values()
    return any(
        weight.name == place.path.rpartition("/")[2] and all(value is not weight for value in attributes)
        for weight in own_weights(place.layer)
    )
