"""Networks as data: a list of layers with shapes and sizes worked out in plain Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from prune_core.errors import UserError


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a chain.

    Attributes:
        kind: name of the Keras layer class, e.g. "Conv2D".
        name: name of the layer.
        shape: shape of its output for one sample.
        parameters: number of its weights.
        arguments: keyword arguments of the layer class, initialisers aside.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    parameters: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)


def dense(name: str, shape: Sequence[int], units: int, use_bias: bool, activation: str | None) -> LayerPlan:
    """A fully connected layer on features of shape (n,)."""
    arguments = {"units": units, "use_bias": use_bias, "activation": activation}
    return LayerPlan("Dense", name, (units,), units * (shape[0] + use_bias), arguments)


def convolution(
    name: str,
    shape: Sequence[int],
    *,
    filters: int,
    kernel: int,
    strides: int,
    padding: str,
    use_bias: bool,
    activation: str,
) -> LayerPlan:
    """A square convolution of an image of shape (height, width, channels). Raises UserError if it does not fit in."""
    height, width = (_positions(name, n, kernel, strides, padding) for n in shape[:2])
    arguments = {
        "filters": filters,
        "kernel_size": kernel,
        "strides": strides,
        "padding": padding,
        "use_bias": use_bias,
        "activation": activation,
    }
    parameters = filters * (kernel * kernel * shape[2] + use_bias)
    return LayerPlan("Conv2D", name, (height, width, filters), parameters, arguments)


def max_pool(name: str, shape: Sequence[int], size: int) -> LayerPlan:
    """Maximum over size x size tiles; incomplete tiles are dropped. Raises UserError if no tile fits."""
    height, width = (_positions(name, n, size, size, "valid") for n in shape[:2])
    return LayerPlan("MaxPooling2D", name, (height, width, shape[2]), arguments={"pool_size": size})


def flatten(name: str, shape: Sequence[int]) -> LayerPlan:
    """All features of a sample in a row."""
    return LayerPlan("Flatten", name, (prod(shape),))


def dropout(name: str, shape: Sequence[int], rate: float) -> LayerPlan:
    """Zeroes a fraction `rate` of the features while training."""
    return LayerPlan("Dropout", name, tuple(shape), arguments={"rate": rate})


def _positions(name: str, length: int, window: int, strides: int, padding: str) -> int:
    """How often a window fits along an axis, with Keras's meaning of "same" and "valid"."""
    if padding == "same":
        return -(-length // strides)
    if window > length:
        raise UserError(
            f"{name} has a window of {window} for an image of {length} there: choose a dataset of larger images"
        )
    return (length - window) // strides + 1
