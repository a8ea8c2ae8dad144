"""What a score is: a function from a network, and perhaps data, to one number per weight or unit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_core.errors import UserError
from prune_core.registry import Registry, closest
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
        options: the method's further parameters, those that the `Score` declares.
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
    by_products: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A registered criterion: high scores matter, low scores are removed.

    Attributes:
        name: what users call it.
        function: `function(ctx)`. At granularity "weight" it returns {weight path: array of the weight's shape} of
            the kernels in scope, and of their biases if `ctx.include_biases`. At granularity "unit" it returns
            {PrunableLayer.name: array (units,)}; kernels without units of their own have no entry.
        granularities: what it can score.
        needs_data: whether it reads `ctx.x`.
        options: names that it accepts in `ctx.options`.
        choices: {option: the values that it can have}, of options that take only some; the first is the usual one.
        version: raised when the function gives other scores than before; results of earlier versions are made anew.
    """

    name: str
    function: Callable[[ScoringContext], Scores]
    granularities: tuple[str, ...]
    needs_data: bool = False
    options: tuple[str, ...] = ()
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    version: int = 1

    def check(self, granularity: str, options: Mapping[str, Any]) -> None:
        """Refuse, at plan time, what this score cannot do. Raises UserError."""
        if granularity not in self.granularities:
            able = " or ".join(self.granularities)
            raise UserError(f"score={self.name} cannot score granularity={granularity}: use granularity={able}")
        for option, value in options.items():
            if option not in self.options:
                known = closest(option, self.options) if self.options else "it takes none, remove it"
                raise UserError(f"{option!r} is not an option of score={self.name}: {known}")
            if option in self.choices and value not in self.choices[option]:
                known = closest(str(value), self.choices[option])
                raise UserError(f"{option}={value!r} is not one of its values: {known}")

    def __call__(self, ctx: ScoringContext) -> Scores:
        """The scores of `ctx.layers`. Raises UserError as `check` does, and if there is no data for a score of data."""
        self.check(ctx.granularity, ctx.options)
        if self.needs_data and (ctx.x is None or len(ctx.x) == 0):
            raise UserError(f"score={self.name} needs training data and there is none: give x of at least one sample")
        return self.function(ctx)


SCORES: Registry[Score] = Registry("score", "prune_core.scores")


def weights_in_scope(ctx: ScoringContext) -> dict[str, np.ndarray]:
    """{weight path: values} of the kernels in scope, and of their biases if `ctx.include_biases`."""
    found = {}
    for layer in ctx.layers:
        found[layer.path] = layer.kernel.numpy()
        if ctx.include_biases and layer.bias is not None and layer.bias_path is not None:
            found[layer.bias_path] = layer.bias.numpy()
    return found
