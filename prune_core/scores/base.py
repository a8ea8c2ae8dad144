"""What a score is: a function from a network, and perhaps data, to one number per weight or unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_core.axes import SCORES as SCORES
from prune_core.axes import Score as Score
from prune_core.units import along_units as along_units
from prune_core.units import kernel_columns as kernel_columns
from prune_core.units import unit_axis as unit_axis

if TYPE_CHECKING:
    import keras

    from prune_core.weights import PrunableLayer

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class ScoringContext:
    """Everything a score may look at.

    Attributes:
        model: the trained network; scores read it and leave it as it is.
        layers: the kernels in scope, in the order of the network.
        granularity: "weight" or "unit".
        x: training inputs, float32, shape (N, ...), or None.
        y: class indices of `x`, int64, shape (N,), or None.
        seed: the only source of randomness.
        batch_size: samples that go through the network at once.
        include_biases: whether biases are scored beside kernels (granularity "weight").
        options: the parameters of the score, those not given at their defaults.
        parameters: of the granularity, those not given at their defaults.
        dense: the network as it was given; None: `model` itself.
        masks: {weight path: bool array} of what an earlier step of the same pruning has removed (False) already.
        by_products: filled by scores with arrays worth keeping, e.g. "input_relevance".
    """

    model: "keras.Model"
    layers: "list[PrunableLayer]"
    granularity: str
    x: np.ndarray | None
    y: np.ndarray | None
    seed: int
    batch_size: int = 256
    include_biases: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dense: "keras.Model | None" = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    by_products: dict[str, np.ndarray] = field(default_factory=dict)

    def on(self, layers: "Sequence[PrunableLayer]") -> "ScoringContext":
        """The same for some of the layers."""
        return replace(self, layers=list(layers))


def weights_in_scope(ctx: ScoringContext) -> dict[str, np.ndarray]:
    """{weight path: values} of the kernels in scope, and of their biases if `ctx.include_biases`."""
    found = {}
    for layer in ctx.layers:
        found[layer.path] = layer.kernel.numpy()
        if ctx.include_biases and layer.bias is not None and layer.bias_path is not None:
            found[layer.bias_path] = layer.bias.numpy()
    return found
