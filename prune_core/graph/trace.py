"""Find which units of a network can only be removed together, and which not at all."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from prune_core.graph.classes import ChannelClasses, TracedLayer
from prune_core.graph.elementwise import is_keras_operation
from prune_core.graph.ids import ChannelIds
from prune_core.graph.rule import MADE_INTO_MASK, Axes, Call, Link, Traced, find_rule, has_channels
from prune_core.graph.rules_shape import operation_rule
from prune_core.network.places import places
from prune_core.network.walk import GraphStep, functional_graph, inner_graph, is_forced_training, run_graph
from prune_core.weights import PrunableLayer, kernel_attributes, prunable_layers, weight_variables


def channel_classes(model: keras.Model) -> ChannelClasses:
    """Trace channel ids through a network.

    Every tensor gets an id for each channel of its last axis. Layers with units make new ids; layers that treat
    channels alike hand them on; Add and similar layers unite them; a layer without a rule (`register_rule`) is pinned
    and reported, as are the network's inputs and outputs. No weight is read.

    Raises:
        UserError: the model is subclassed or not built.
    """
    graph = functional_graph(model)
    tracer = _Tracer()
    inputs = []
    for tensor in graph.inputs:
        ids = tracer.ids.new(tensor.shape[-1]) if has_channels(tensor.shape) else None
        inputs.append(ids)
        if ids is not None:
            tracer.pins.append((ids, "it is joined with an input of the network"))
            tracer.sources.append(ids)
    outputs = tracer.run(graph, inputs, "")
    tracer.pins[:0] = [(ids, "it makes an output of the network") for ids in outputs if ids is not None]
    return tracer.result(model)


class _Tracer:
    def __init__(self) -> None:
        self.ids = ChannelIds()
        self.pins: list[tuple[np.ndarray, str]] = []
        self.sources: list[np.ndarray] = []
        self.traces: dict[int, TracedLayer] = {}
        self.tensors: dict[int, np.ndarray] = {}
        self._own: dict[int, list[np.ndarray]] = {}

    def run(self, graph: Any, inputs: list[Any], prefix: str) -> list[Any]:
        for tensor, ids in zip(graph.inputs, inputs, strict=True):
            if ids is not None:
                self.ids.unite(self.tensors.setdefault(id(tensor), ids), ids)
        return run_graph(graph, inputs, self._visit, prefix=prefix, enter=False)

    def _visit(self, step: GraphStep) -> list[np.ndarray | None]:
        self.pins += [(ids, MADE_INTO_MASK) for ids in step.masks if ids is not None]
        inner = inner_graph(step)
        if inner is not None:
            return self.run(inner, step.inputs, f"{step.path}/")
        call = Call(step, self.ids, self._own, self.pins, self.sources)
        traced = _apply_rule(call, step)
        first = self.traces.get(id(step.operation))
        if first is None:
            channels = step.inputs[0] if step.inputs and step.inputs[0] is not None else np.zeros(0, np.int64)
            self.traces[id(step.operation)] = TracedLayer(step.operation, step.path, channels, traced)
        else:
            self._unite_layouts(first.traced, traced)
        return [
            ids if has_channels(tensor.shape) else None
            for ids, tensor in zip(traced.outputs, step.outputs, strict=True)
        ]

    def _unite_layouts(self, first: Traced, second: Traced) -> None:
        """A layer used twice is cut once: what its weights and its config run along must be cut alike."""
        one, other = _layout(first), _layout(second)
        if [ids.shape for ids in one] == [ids.shape for ids in other]:
            for a, b in zip(one, other, strict=True):
                self.ids.unite(a, b)
        else:
            self.pins += [(ids, "it meets a layer that is called in different ways") for ids in one + other]

    def result(self, model: keras.Model) -> ChannelClasses:
        prunable = prunable_layers(model)
        self._unite_shared(model)
        own = {layer.name: self._units(layer) for layer in prunable}
        units = {name: ids for name, ids in own.items() if ids is not None}
        table = self.ids.classes()
        count = int(table.max()) + 1 if len(table) else 0
        pinned = np.zeros(count, dtype=bool)
        reason_of: dict[int, str] = {}
        for ids, reason in self.pins:
            pinned[table[ids]] = True
            for number in table[ids].tolist():
                reason_of.setdefault(number, reason)
        sources = np.zeros(count, dtype=bool)
        for ids in self.sources:
            sources[table[ids]] = True
        classes = {name: table[ids] for name, ids in units.items()}
        first_pinned = {name: ids[pinned[ids]][:1].tolist() for name, ids in classes.items()}
        traces = {key: _renumbered(trace, table) for key, trace in self.traces.items()}
        return ChannelClasses(
            units=classes,
            pinned=pinned,
            pinned_reasons={name: reason_of[ids[0]] for name, ids in first_pinned.items() if ids},
            silenced=_silenced(model, traces),
            traces=traces,
            tensors={key: table[ids] for key, ids in self.tensors.items()},
            sources=sources,
        )

    def _unite_shared(self, model: keras.Model) -> None:
        """Layers that share a weight are cut alike, and no constant goes into the bias of one of them alone."""
        holders: dict[int, dict[int, keras.layers.Layer]] = {}
        for place in places(model):
            holders.setdefault(id(place.variable), {})[id(place.layer)] = place.layer
        for key, layers in holders.items():
            if len(layers) == 1:
                continue
            known = [self.traces[number] for number in layers if number in self.traces]
            axes = [found for trace in known for found in _axes_of(trace, key)]
            self._unite_axes(axes, len(axes) == len(layers))
            for trace in known:
                if trace.traced.link is not None:
                    changed = replace(trace.traced, link=_without_gain(trace.traced.link))
                    self.traces[id(trace.operation)] = replace(trace, traced=changed)

    def _unite_axes(self, axes: list[Axes], all_known: bool) -> None:
        for others in axes[1:]:
            for first, second in zip(axes[0].ids, others.ids, strict=True):
                if first is not None and second is not None:
                    self.ids.unite(first, second)
                else:
                    all_known = all_known and first is second
        if not all_known:
            ids = [part for found in axes for part in found.ids if part is not None]
            self.pins += [(part, "it shares its weights with a layer that cannot be cut alike") for part in ids]

    def _units(self, layer: PrunableLayer) -> np.ndarray | None:
        """Raw ids of a layer's own units; None for a kernel that has none (depthwise, inside of another layer)."""
        if layer.inside is not None:
            return None
        trace = self.traces.get(id(layer.layer))
        attribute = next(name for name in kernel_attributes(layer.layer) if getattr(layer.layer, name) is layer.kernel)
        axes = trace.traced.weights.get(attribute) if trace is not None else None
        if axes is not None and trace is not None:
            return axes.ids[axes.silent] if trace.traced.link is not None and axes.silent is not None else None
        if "depthwise" in attribute or "Depthwise" in type(layer.layer).__name__:
            return None
        return self._opaque_units(layer, trace)

    def _opaque_units(self, layer: PrunableLayer, trace: TracedLayer | None) -> np.ndarray:
        """Pinned ids for the units of a kernel that no rule knows: its outputs' if there are as many."""
        axis = -2 if "Transpose" in type(layer.layer).__name__ else -1
        count = layer.kernel.shape[axis]
        outputs = trace.traced.outputs[0] if trace is not None else np.zeros(0, np.int64)
        ids = outputs if len(outputs) == count else self.ids.new(count)
        self.pins.append(
            (ids, f"'{layer.name}' ({type(layer.layer).__name__}) cannot be followed by any shrinking rule")
        )
        return ids


def _looks_at_shapes_only(operation: Any) -> bool:
    return is_keras_operation(operation) and type(operation).__name__ in ("OnesLike", "ZerosLike")


def _apply_rule(call: Call, step: GraphStep) -> Traced:
    kind = f"'{step.path}' ({type(step.operation).__name__})"
    rule = find_rule(step.operation) or operation_rule(step.operation)
    if rule is None and step.is_for_masks and _looks_at_shapes_only(step.operation):
        return call.unrelated(f"{kind} makes a mask")
    if rule is None:
        return call.opaque(f"{kind} has no shrinking rule: add one with prune_core.graph.register_rule")
    if is_forced_training(step):
        return call.opaque(f"{kind} is called with training=True, so that its output is never certain")
    if not step.inputs or any(ids is None for ids in step.inputs):
        return call.opaque(f"{kind} has an input whose channels have no fixed number")
    traced = rule(call)
    if traced.link is not None and len(step.inputs) != 1:
        return call.opaque(f"{kind} has units and more than one input, which cannot be cut")
    if traced.link is None and not np.isin(np.concatenate(traced.outputs), np.concatenate(step.inputs)).all():
        return call.opaque(f"{kind} makes new channels by a rule without a link, which cannot be cut")
    return traced


def _axes_of(trace: TracedLayer, key: int) -> list[Axes]:
    """How the weight of this `id` is laid out in a layer, if its rule says so."""
    return [axes for name, axes in trace.traced.weights.items() if id(getattr(trace.operation, name)) == key]


def _without_gain(link: Callable[[Any], Link]) -> Callable[[Any], Link]:
    return lambda layer: replace(link(layer), gain=None)


def _layout(traced: Traced) -> list[np.ndarray]:
    flat = keras.tree.flatten((dict(traced.config), [axes.ids for axes in traced.weights.values()]))
    return [value for value in flat if isinstance(value, np.ndarray)]


def _renumbered(trace: TracedLayer, table: np.ndarray) -> TracedLayer:
    def classes(value: Any) -> Any:
        return table[value] if isinstance(value, np.ndarray) else value

    traced = trace.traced
    return replace(
        trace,
        inputs=table[trace.inputs],
        traced=Traced(
            outputs=[table[ids] for ids in traced.outputs],
            weights={
                k: Axes(tuple(classes(ids) for ids in axes.ids), axes.silent) for k, axes in traced.weights.items()
            },
            config=keras.tree.map_structure(classes, dict(traced.config)),
            link=traced.link,
        ),
    )


def _silenced(model: keras.Model, traces: Mapping[int, TracedLayer]) -> dict[str, tuple[int, np.ndarray]]:
    layout = {
        id(getattr(trace.operation, attribute)): axes
        for trace in traces.values()
        for attribute, axes in trace.traced.weights.items()
    }
    found = {}
    for path, variable in weight_variables(model).items():
        axes = layout.get(id(variable))
        if axes is not None and axes.silent is not None:
            ids = axes.ids[axes.silent]
            if ids is not None:
                found[path] = (axes.silent, ids)
    return found
