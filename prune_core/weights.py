"""Names for a network's weights that survive saving, loading and cloning, and the layers that can be pruned."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras

from prune_core.calls import data_tensors

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
        is_output: whether the layer makes an output of the network.
    """

    name: str
    layer: keras.layers.Layer
    kernel: keras.Variable
    bias: keras.Variable | None
    path: str
    bias_path: str | None
    is_output: bool


def leaf_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """(path, layer) of every layer that is not itself a model, depth first in the model's order."""
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer, f"{path}/")
        else:
            yield path, layer


def weight_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """{weight path: variable} of every weight, in the order of the layers, e.g. "conv_1/kernel".

    Keras's own `Variable.path` changes when a Sequential is saved and loaded; these paths do not.
    """
    return {
        f"{path}/{variable.path.rpartition(f'{layer.name}/')[2]}": variable
        for path, layer in leaf_layers(model)
        for variable in layer.weights
        if "seed_generator" not in variable.path
    }


def prunable_layers(model: keras.Model) -> list[PrunableLayer]:
    """The kernels of a network in the order of its layers, the output layer's among them."""
    paths = {id(variable): path for path, variable in weight_variables(model).items()}
    outputs = {id(layer) for layer in _output_layers(model)}
    found = []
    for name, layer in leaf_layers(model):
        kernels = kernel_attributes(layer)
        for attribute in kernels:
            kernel = getattr(layer, attribute)
            bias = getattr(layer, "bias", None) if attribute == kernels[-1] else None
            found.append(
                PrunableLayer(
                    name=name if len(kernels) == 1 else f"{name}/{attribute}",
                    layer=layer,
                    kernel=kernel,
                    bias=bias,
                    path=paths[id(kernel)],
                    bias_path=paths[id(bias)] if bias is not None else None,
                    is_output=id(layer) in outputs,
                )
            )
    return found


def kernel_attributes(layer: keras.layers.Layer) -> list[str]:
    """Names of the attributes of a layer that hold a kernel; empty where there is none."""
    return [name for name in _KERNELS if isinstance(getattr(layer, name, None), keras.Variable)]


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
            before = data_tensors(operation._inbound_nodes[node_index])
            meets_input = meets_input or not before
            waiting.extend(before)
    return meets_input
