"""What a transform gets and changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from prune_core.measure import Stopwatch
from prune_core.spec import MethodSpec


@dataclass
class Transforming:
    """One network on its way through the transforms of a method.

    Attributes:
        model: the pruned and shrunk network, a copy that may be changed in place or replaced.
        spec: the method.
        parameters: of this transform, those not given at their defaults.
        data: the splits that were given (x_train, ...), or None.
        seed: the only source of randomness.
        figures: numbers by name, to be reported; a transform adds its own.
        warnings: sentences that a person must read.
        watch: counts the seconds of each step.
    """

    model: keras.Model
    spec: MethodSpec
    parameters: Mapping[str, Any]
    data: Any
    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    watch: Stopwatch = field(default_factory=Stopwatch)
