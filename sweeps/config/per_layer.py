"""Parameters with one value a layer: their names, the axis of each value, and the length of the list.

`sparsity.dense_1` is the share of that layer; such axes together make the list that a method takes.
"""

from collections.abc import Mapping
from typing import Any

from prune_core.axes import all_entries
from prune_core.entries import LAYERS
from prune_core.errors import UserError
from prune_core.models import ModelInfo
from prune_core.spec import MethodSpec
from sweeps.specs import format_value

PER_LAYER: Mapping[str, str] = {
    name: parameter.per_layer
    for _, entry in all_entries()
    for name, parameter in entry.parameters.items()
    if parameter.per_layer is not None
}
"""{parameter of a method that may be a list with one value a layer: for which layers, a key of `Layers`}."""

Layers = Mapping[str, tuple[str, ...]]
"""{"pruned": names of the layers that are pruned, "all": names of all layers with a kernel}, in their order."""


def layers_of(info: ModelInfo, prune_output: bool) -> Layers:
    """The layers of a network; the output layer is pruned only if `prune_output`."""
    everywhere = info.kernel_layers
    inner = everywhere[: len(everywhere) - info.output_kernels]
    return {"pruned": everywhere if prune_output else inner, "all": everywhere}


def axis_of(parameter: str, layer: str) -> str:
    """The axis of one layer's value."""
    return f"{parameter}.{layer}"


def gathered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of axes as parameters of a method; the values of single layers, in the layers' order, become one list."""
    parameters: dict[str, Any] = {}
    for axis, value in values.items():
        parameter, _, layer = axis.partition(".")
        if layer and parameter in PER_LAYER:
            parameters.setdefault(parameter, []).append(value)
        else:
            parameters[axis] = value
    return parameters


def check_lists(model: str, spec: MethodSpec, layers: Layers) -> None:
    """Raise UserError if a list of the method does not have one value for each layer of `model` that it is for."""
    for parameter, value in spec.values.items():
        if not isinstance(value, tuple) or parameter not in PER_LAYER:
            continue
        names = layers[PER_LAYER[parameter]]
        if len(value) != len(names):
            raise UserError(
                f"{parameter}={format_value(value)} has {len(value)} values, but {model} has {len(names)} "
                f"{LAYERS[PER_LAYER[parameter]]} ({', '.join(names)}): give one a layer"
            )
