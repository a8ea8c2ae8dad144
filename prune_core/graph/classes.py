"""The units of a network in classes that can only be removed together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.graph.ids import ChannelIds
from prune_core.graph.rule import Traced


@dataclass(frozen=True)
class Component:
    """Layers coupled by shared classes, e.g. all convolutions that add into one residual stream.

    Attributes:
        layers: their names, in the network's order.
        classes: ids of all classes of their units, sorted.
    """

    layers: tuple[str, ...]
    classes: np.ndarray


@dataclass(frozen=True)
class TracedLayer:
    """A layer of the graph and what its rule says; ids are class ids.

    Attributes:
        operation: the Keras layer or bare operation.
        path: its name, with the names of the models it is nested in.
        inputs: classes of its first input's channels (empty if unknown).
        traced: the rule's answer.
    """

    operation: Any
    path: str
    inputs: np.ndarray
    traced: Traced


@dataclass(frozen=True)
class ChannelClasses:
    """The units of a network in classes that are kept or removed together. A class id is an index from 0.

    Attributes:
        units: {layer name: class of each of its units, shape (units,)}, for every prunable layer that has own units
            (all but depthwise kernels and those inside of other layers).
        pinned: bool (classes,), whether a class must stay.
        pinned_reasons: {layer name: one sentence}, for every layer in `units` with a pinned unit.
        silenced: {weight path: (axis, class of each entry along it)} of what is masked with a unit: kernel columns,
            biases, gamma and beta of the batch normalizations that follow.
        traces: the layers of the graph by `id` of the operation.
        tensors: classes of the channels of the inputs of nested models, by `id` of the symbolic tensor.
        sources: classes of channels that come from outside: inputs, layers without a rule.
    """

    units: Mapping[str, np.ndarray]
    pinned: np.ndarray
    pinned_reasons: Mapping[str, str]
    silenced: Mapping[str, tuple[int, np.ndarray]]
    traces: Mapping[int, TracedLayer]
    tensors: Mapping[int, np.ndarray]
    sources: np.ndarray

    def components(self) -> list[Component]:
        """Layers grouped by shared classes, in the order of each group's first layer."""
        coupled = ChannelIds()
        numbers = coupled.new(len(self.pinned))
        for ids in self.units.values():
            coupled.unite(np.full_like(ids, ids[0]), ids)
        group_of = coupled.classes()
        names: dict[int, list[str]] = {}
        for name, ids in self.units.items():
            names.setdefault(int(group_of[ids[0]]), []).append(name)
        return [Component(tuple(layers), numbers[group_of == group]) for group, layers in names.items()]
