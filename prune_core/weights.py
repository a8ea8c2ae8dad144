"""Names for a network's weights that survive saving, loading and cloning, and the layers that can be pruned."""

from dataclasses import dataclass

import keras

from prune_core.places import leaf_layers, weight_variables

__all__ = [
    "PrunableLayer",
    "kernel_attributes",
    "layers_without_kernel",
    "leaf_layers",
    "prunable_layers",
    "weight_variables",
]

# Attributes under which Keras layers keep what they multiply their input with.
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True)
class PrunableLayer:
    """One kernel of a network, and what belongs to it.

    Attributes:
        name: name of the layer, with the names of the models it is nested in: "block/conv"; with the kernel's own
            name behind it where a layer has two (SeparableConv2D): "sep/depthwise_kernel".
        layer: the Keras layer.
        kernel: its kernel, shape (..., inputs, units) for Dense and convolutions.
        bias: its bias, shape (units,), or None.
        path: weight path of the kernel.
        bias_path: weight path of the bias, or None.
        is_output: whether the layer, or one that shares its kernel, makes an output of the network.
    """

    name: str
    layer: keras.layers.Layer
    kernel: keras.Variable
    bias: keras.Variable | None
    path: str
    bias_path: str | None
    is_output: bool


def prunable_layers(model: keras.Model) -> list[PrunableLayer]:
    """The kernels of a network in the order of its layers, the output's too; one that layers share is there once."""
    paths = {id(variable): path for path, variable in weight_variables(model).items()}
    outputs = {id(kernel) for layer in _output_layers(model) for kernel in _kernels(layer)}
    found: list[PrunableLayer] = []
    seen: set[int] = set()
    for name, layer in leaf_layers(model):
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
                )
            )
    return found


def kernel_attributes(layer: keras.layers.Layer) -> list[str]:
    """Names of the attributes of a layer that hold a kernel; empty where there is none."""
    return [name for name in _KERNELS if isinstance(getattr(layer, name, None), keras.Variable)]


def _kernels(layer: keras.layers.Layer) -> list[keras.Variable]:
    return [getattr(layer, name) for name in kernel_attributes(layer)]


def layers_without_kernel(model: keras.Model) -> dict[str, str]:
    """{path: class name} of layers that multiply with weights, but with none that `prunable_layers` knows: recurrent
    and attention layers, embeddings, wrappers.
    """
    return {
        path: type(layer).__name__
        for path, layer in leaf_layers(model)
        if not kernel_attributes(layer)
        and not isinstance(layer, (keras.layers.PReLU, keras.layers.Normalization))
        and any(len(variable.shape) >= 2 for variable in layer.weights)
    }


def _output_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers with a kernel that are met first on the way back from the outputs."""
    found: list[keras.layers.Layer] = []
    _walk_back(model, found)
    return found


def _walk_back(model: keras.Model, found: list[keras.layers.Layer]) -> bool:
    """Collect the layers with a kernel that are met first; whether some way back ends at an input instead."""
    waiting = list(keras.tree.flatten(model.outputs))
    seen = set()
    meets_input = False
    while waiting:
        tensor = waiting.pop()
        operation, node_index, _ = tensor._keras_history
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if kernel_attributes(operation):
            found.append(operation)
        elif not isinstance(operation, keras.Model) or _walk_back(operation, found):
            before = operation._inbound_nodes[node_index].input_tensors
            meets_input = meets_input or not before
            waiting.extend(before)
    return meets_input
