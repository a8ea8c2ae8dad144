"""Where the layers and weights of a network are: paths made of the names of its parts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.network.keras_internals import BOOKKEEPING, is_keras_own, own_weights, parts_of

# Attributes of Keras's layers whose weight has another name.
_NAMES = {"adapt_mean": "mean", "adapt_variance": "variance"}


@dataclass(frozen=True)
class Place:
    """A layer's attribute that keeps a weight. A weight that layers share has several places.

    Attributes:
        path: names of the models and layers it is nested in, then its own: "block/conv/kernel".
        layer: the innermost layer.
        attribute: of the layer; None for a weight that the layer owns and keeps under no attribute.
        variable: the weight.
    """

    path: str
    layer: keras.layers.Layer
    attribute: str | None
    variable: keras.Variable


def leaf_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """(path, layer) of every layer that is not itself a model, depth first in the model's order.

    A layer that is used at several places of a network appears at each of them.
    """
    for name, layer in inner_layers(model):
        path = f"{prefix}{name}"
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer, f"{path}/")
        else:
            yield path, layer


def weight_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """{weight path: variable} of every weight, in the order of the layers, e.g. "conv_1/kernel".

    A path is that of the layer, then the names of the layers inside it, then that of the weight:
    "lstm/forward_lstm/lstm_cell/kernel". A weight that layers share is there once, under the first of its paths.
    Keras's own `Variable.path` changes when a Sequential is saved and loaded; these paths do not.

    Raises:
        UserError: two weights have the same path.
    """
    found: dict[str, keras.Variable] = {}
    seen: set[int] = set()
    for path, owner in _owners(model, ""):
        paths: dict[int, str] = {}
        for place in _places_of(owner, path):
            paths.setdefault(id(place.variable), place.path)
        for variable in own_weights(owner) if isinstance(owner, keras.Model) else owner.weights:
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            name = paths[id(variable)]
            if name in found:
                raise UserError(f"two weights of {model.name!r} have the path {name!r}: rename the layers around them")
            found[name] = variable
    return found


def places(model: keras.Model) -> Iterator[Place]:
    """Every place of every weight, in the order of the layers; a shared layer's places again wherever it is used."""
    for path, owner in _owners(model, ""):
        yield from _places_of(owner, path)


def inner_layers(layer: keras.layers.Layer) -> list[tuple[str, keras.layers.Layer]]:
    """(name, layer) of the layers directly inside a model or a composite layer, each with a name of its own.

    A layer of a model, and one inside a layer of Keras's, has its Keras name, which copies keep. In any other layer it
    has the name of the attribute that keeps it, "blocks_0" for the first of a list `blocks`, and so do layers inside
    one layer that have the same name: Keras may count its own names up from copy to copy.
    """
    inside = _members(layer)
    counts = Counter(part.name for part in inside)
    has_names = isinstance(layer, keras.Model) or is_keras_own(layer)
    if has_names and len(counts) == len(inside):
        return [(part.name, part) for part in inside]
    attributes = _attributes(layer)
    names = [
        part.name if has_names and counts[part.name] == 1 else attributes.get(id(part), "layer").lstrip("_")
        for part in inside
    ]
    return list(zip(_told_apart(names), inside, strict=True))


def layers_inside(layer: keras.layers.Layer, path: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """(path, layer) of everything inside a model or a layer, models and composite layers too, the innermost first."""
    for name, part in inner_layers(layer):
        yield from layers_inside(part, _join(path, name))
        yield _join(path, name), part


def _members(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    if not isinstance(layer, keras.Model):
        return parts_of(layer)
    graph = list(layer.layers)
    known = {id(part) for part in graph}
    return graph + [part for part in parts_of(layer) if id(part) not in known and part.weights]


def _owners(model: keras.Model, path: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    """`leaf_layers`, and after its layers each model that has weights of its own."""
    for name, layer in inner_layers(model):
        if isinstance(layer, keras.Model):
            yield from _owners(layer, _join(path, name))
        else:
            yield _join(path, name), layer
    if own_weights(model):
        yield path, model


def places_in(layer: keras.layers.Layer) -> Iterator[Place]:
    """The places in a layer or model and in all that is inside it; paths begin in the layer."""
    return places(layer) if isinstance(layer, keras.Model) else _places_of(layer, "")


def _places_of(owner: keras.layers.Layer, path: str) -> Iterator[Place]:
    """The places in a layer with those of the layers inside it first, because a wrapper may point at what it wraps."""
    if not isinstance(owner, keras.Model):
        for inner_path, layer in layers_inside(owner, path):
            yield from _own_places(layer, inner_path)
    yield from _own_places(owner, path)


def _own_places(layer: keras.layers.Layer, path: str) -> Iterator[Place]:
    held = [value for value in vars(layer).values() if isinstance(value, keras.Variable)]
    variables = list({id(variable): variable for variable in (*own_weights(layer), *held)}.values())
    if not variables:
        return
    attributes = _attributes(layer)
    variables.sort(key=lambda variable: id(variable) not in attributes)  # those without an attribute do not move others
    kept = [attributes.get(id(variable)) for variable in variables]
    names = [
        variable.name if attribute is None else _NAMES.get(attribute, attribute.lstrip("_"))
        for attribute, variable in zip(kept, variables, strict=True)
    ]
    for name, attribute, variable in zip(_told_apart(names), kept, variables, strict=True):
        yield Place(_join(path, name), layer, attribute, variable)


def _attributes(layer: keras.layers.Layer) -> dict[int, str]:
    """{id of a weight or layer: attribute that keeps it}; "blocks_0" for the first in a list `blocks`."""
    found: dict[int, str] = {}

    def note(name: str, value: Any) -> None:
        if isinstance(value, (keras.Variable, keras.layers.Layer)):
            found.setdefault(id(value), name)
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                note(f"{name}_{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                note(f"{name}_{key}", item)

    for name, value in vars(layer).items():
        if name not in BOOKKEEPING and not name.startswith("_self_"):  # TensorFlow keeps its own under "_self_..."
            note(name, value)
    return found


def _told_apart(names: list[str]) -> list[str]:
    """The names; a number is appended to a name that came before."""
    apart: list[str] = []
    for number, name in enumerate(names):
        apart.append(f"{name}_{number}" if name in apart else name)
    return apart


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
