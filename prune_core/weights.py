"""Names for a network's weights that survive saving, loading and cloning, and the layers that can be pruned."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras

from prune_core.kernels import KERNEL_ATTRIBUTES
from prune_core.network.places import layers_inside, leaf_layers, weight_variables
from prune_core.network.walk import walk_back

__all__ = [
    "PrunableLayer",
    "kernel_attributes",
    "layers_without_kernel",
    "leaf_layers",
    "prunable_layers",
    "scope",
    "weight_variables",
]


@dataclass(frozen=True)
class PrunableLayer:
    """One kernel of a network, and what belongs to it.

    Attributes:
        name: name of the layer, with the names of the models and layers it is nested in: "block/conv"; followed by the
            kernel's own name where a layer has two: "sep/depthwise_kernel", "lstm/lstm_cell/kernel".
        layer: the Keras layer.
        kernel: its kernel, shape (..., inputs, units) for Dense and convolutions.
        bias: its bias, shape (units,), or None.
        path: weight path of the kernel.
        bias_path: weight path of the bias, or None.
        is_output: whether the layer, or one that shares its kernel, makes an output of the network.
        inside: name of the layer of the network that it is a part of: of a wrapper (TimeDistributed, Bidirectional), a
            recurrent or an attention layer, a user's composite layer. Its weights can be pruned, but no units.
            None for a layer of the network itself.
    """

    name: str
    layer: keras.layers.Layer
    kernel: keras.Variable
    bias: keras.Variable | None
    path: str
    bias_path: str | None
    is_output: bool
    inside: str | None = None


def prunable_layers(model: keras.Model) -> list[PrunableLayer]:
    """The kernels of a network in the order of its layers, the output layer's and those inside of layers too.

    One that layers share is there once.
    """
    paths = {id(variable): path for path, variable in weight_variables(model).items()}
    outputs = {id(kernel) for layer in _output_layers(model) for kernel in kernels_within(layer)}
    found: list[PrunableLayer] = []
    seen: set[int] = set()
    for name, layer, inside in _with_parts(model):
        kernels = kernel_attributes(layer)
        for attribute in kernels:
            kernel = getattr(layer, attribute)
            if id(kernel) in seen:
                continue
            seen.add(id(kernel))
            bias = getattr(layer, "bias", None) if attribute == kernels[-1] else None
            found.append(
                PrunableLayer(
                    name=name if len(kernels) == 1 else f"{name}/{attribute}",
                    layer=layer,
                    kernel=kernel,
                    bias=bias,
                    path=paths[id(kernel)],
                    bias_path=paths[id(bias)] if bias is not None else None,
                    is_output=id(kernel) in outputs,
                    inside=inside,
                )
            )
    return found


def scope(model: keras.Model, prune_output: bool) -> list[PrunableLayer]:
    """The layers that a method may prune: all with a kernel; those that make the output only if asked."""
    return [layer for layer in prunable_layers(model) if prune_output or not layer.is_output]


def kernel_attributes(layer: keras.layers.Layer) -> list[str]:
    """Names of the attributes of a layer that hold a kernel; empty where there is none."""
    return [name for name in KERNEL_ATTRIBUTES if isinstance(getattr(layer, name, None), keras.Variable)]


def kernels_within(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The kernels of a layer and of all layers inside it."""
    layers = [part for _, part in layers_inside(layer)] + [layer]
    return [getattr(part, name) for part in layers for name in kernel_attributes(part)]


def _with_parts(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer, str | None]]:
    """`leaf_layers` with the layers inside each before it, and the name of the layer that these are inside of.

    First, as a wrapper may point at a kernel of what it wraps.
    """
    for name, layer in leaf_layers(model):
        for path, part in layers_inside(layer, name):
            yield path, part, name
        yield name, layer, None


def layers_without_kernel(model: keras.Model) -> dict[str, str]:
    """{path: class name} of layers that multiply with weights, but have no kernel that `prunable_layers` knows:
    embeddings, a user's layers.
    """
    return {
        path: type(layer).__name__
        for path, layer in leaf_layers(model)
        if not kernels_within(layer)
        and not isinstance(layer, (keras.layers.PReLU, keras.layers.Normalization))
        and any(len(variable.shape) >= 2 for variable in layer.weights)
    }


def _output_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers with a kernel that are met first on the way back from the outputs."""
    found: list[keras.layers.Layer] = []
    _walk_back(model, found)
    return found


def _walk_back(model: keras.Model, found: list[keras.layers.Layer]) -> bool:
    """Collect the layers with a kernel that are met first; returns whether some way back ends at an input instead."""

    def goes_on(operation: keras.Operation) -> bool:
        inner = _inner_model(operation)
        if inner is None and isinstance(operation, keras.layers.Layer) and kernels_within(operation):
            found.append(operation)
            return False
        return inner is None or _walk_back(inner, found)

    return walk_back(keras.tree.flatten(model.outputs), goes_on)


def _inner_model(operation: keras.Operation) -> keras.Model | None:
    """The nested model that an operation runs by itself or at every time step (TimeDistributed)."""
    inner = operation.layer if isinstance(operation, keras.layers.Wrapper) else operation
    return inner if isinstance(inner, keras.Model) else None
