"""The kernels of a serialised Keras model, from its JSON and the paths in its weights file. Plan-time: no Keras."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prune_core.kernels import KERNEL_KINDS

NESTING = ("Functional", "Sequential")
# Class name -> class and name of the cell that such a layer makes for itself.
_CELLS = {
    "LSTM": ("LSTMCell", "lstm_cell"),
    "GRU": ("GRUCell", "gru_cell"),
    "SimpleRNN": ("SimpleRNNCell", "simple_rnn_cell"),
    **{f"ConvLSTM{n}D": ("ConvLSTMCell", "conv_lstm_cell") for n in (1, 2, 3)},
}
_ATTENTION = {"MultiHeadAttention": "", "GroupQueryAttention": "_"}
"""Class name -> what is before the names of its parts in the weights file."""
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Class name in the JSON -> that in the source, after which groups are called, where they differ."""


_Found = tuple[str, str, bool]
"""Name of a kernel, its path in the weights file, whether it is inside of a layer."""


@dataclass(frozen=True)
class StoredKernel:
    """A kernel in a file.

    Attributes:
        name: as `prune_core.weights.PrunableLayer.name`.
        size: number of its weights; None if the weights file does not have it where it is expected.
        is_inside: whether it lies inside of a wrapper, a recurrent or an attention layer.
    """

    name: str
    size: int | None
    is_inside: bool


@dataclass(frozen=True)
class _Part:
    """A layer inside another: its JSON, the attribute that keeps it, and its group in the other's group."""

    layer: Mapping[str, Any]
    attribute: str
    group: str


def stored_kernels(model: Mapping[str, Any], sizes: Mapping[str, int]) -> list[list[StoredKernel]]:
    """The kernels of each layer of a network that has any, in the order of `prune_core.weights.prunable_layers`.

    A model that runs at each time step (TimeDistributed) is listed by its layers, as the last of them makes the output.

    Args:
        model: serialised, as in a file's config.json.
        sizes: {path in the weights file: number of values}.
    """
    return [kernels for layer in _layers(model, "", "") if (kernels := [_sized(kernel, sizes) for kernel in layer])]


def _sized(kernel: _Found, sizes: Mapping[str, int]) -> StoredKernel:
    name, path, is_inside = kernel
    return StoredKernel(name, sizes.get(path), is_inside)


def _layers(model: Mapping[str, Any], prefix: str, group: str) -> Iterator[list[_Found]]:
    layers = model["config"]["layers"]
    for layer, own_group in zip(layers, _groups(layers, f"{group}layers/"), strict=True):
        name = f"{prefix}{layer['config']['name']}"
        if layer["class_name"] in NESTING:
            yield from _layers(layer, f"{name}/", f"{own_group}/")
        elif layer["class_name"] == "TimeDistributed" and layer["config"]["layer"]["class_name"] in NESTING:
            model = layer["config"]["layer"]
            yield from _inside(_layers(model, f"{name}/{model['config']['name']}/", f"{own_group}/layer/"))
        else:
            yield list(_kernels(layer, name, own_group, is_inside=False))


def _inside(layers: Iterator[list[_Found]]) -> Iterator[list[_Found]]:
    return ([(name, path, True) for name, path, _ in kernels] for kernels in layers)


def _kernels(layer: Mapping[str, Any], name: str, group: str, *, is_inside: bool) -> Iterator[_Found]:
    parts = _parts(layer)
    names = Counter(part.layer["config"]["name"] for part in parts)
    for part in parts:
        own_name = part.layer["config"]["name"]
        path = f"{name}/{own_name if len(names) == len(parts) else part.attribute}"
        if part.layer["class_name"] in NESTING:
            for kernels_inside in _inside(_layers(part.layer, f"{path}/", f"{group}/{part.group}/")):
                yield from kernels_inside
        else:
            yield from _kernels(part.layer, path, f"{group}/{part.group}", is_inside=True)
    kind = KERNEL_KINDS.get(layer["class_name"])
    kernels = () if kind is None else kind.kernels
    for number, kernel in enumerate(kernels):
        yield name if len(kernels) == 1 else f"{name}/{kernel}", f"{group}/vars/{number}", is_inside


def _parts(layer: Mapping[str, Any]) -> list[_Part]:
    """The layers directly inside a layer, as Keras makes and keeps them."""
    kind, config = layer["class_name"], layer["config"]
    if kind in ("TimeDistributed", "SpectralNormalization"):
        return [_Part(config["layer"], "layer", "layer")]
    if kind == "Bidirectional":
        return [_Part(config[key], attribute, attribute) for key, attribute in _DIRECTIONS.items() if key in config]
    if kind in _CELLS:
        return [_Part(_stub(*_CELLS[kind]), "cell", "cell")]
    if kind == "RNN":
        return [_Part(config["cell"], "cell", "cell")]
    if kind == "StackedRNNCells":
        groups = _groups(config["cells"], "cells/")
        return [_Part(cell, f"cells_{number}", groups[number]) for number, cell in enumerate(config["cells"])]
    if kind in _ATTENTION:
        names = ["query", "key", *(["gate"] if config.get("use_gate") else []), "value", "output"]
        return [
            _Part(
                _stub("EinsumDense", "attention_output" if name == "output" else name),
                f"{name}_dense",
                f"{_ATTENTION[kind]}{name}_dense",
            )
            for name in names
        ]
    return []


_DIRECTIONS = {"layer": "forward_layer", "backward_layer": "backward_layer"}


def _stub(kind: str, name: str) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name}}


def _groups(layers: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    """The groups of a list of layers in the weights file: called like their classes, counted up."""
    groups, seen = [], Counter[str]()
    for layer in layers:
        name = _CLASSES.get(layer["class_name"], layer["class_name"])
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        groups.append(f"{prefix}{name}_{seen[name]}" if seen[name] else f"{prefix}{name}")
        seen[name] += 1
    return groups
