"""Remove silent units physically: a smaller dense network that computes the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from prune_core.graph.classes import channel_classes, functional_graph
from prune_core.graph.exact import ExactRun, run_exactly
from prune_core.graph.rebuild import rebuild
from prune_core.graph.silence import constant_classes, find_mixers, find_removal, observe

# Largest difference from the original's outputs, relative to the greatest of them, in float64.
_TOLERANCE = 1e-5
# No rounding of single steps excuses more than that.
_GREATEST_TOLERANCE = 0.1
_SEED = 20260101
_SAMPLES = 2
# Two sizes, one odd, for axes of unknown size: what a constant does at the borders depends on them.
_FREE_SIZES = (96, 107)


class ShrinkError(RuntimeError):
    """A shrunk network did not compute the same as its original; nothing was delivered."""


@dataclass(frozen=True)
class ShrinkResult:
    """A network without its silent units.

    Attributes:
        model: functional, with the original's layer names, dtypes and trainable flags; not compiled.
        kept: {layer name: indices of the units that stay, ascending}, for every layer with units.
        pinned: {layer name: one sentence} for layers of which no unit, or not every silent unit, could be removed.
        folded: {layer name: number of constant inputs whose effect now is in its bias}.
        max_difference: largest |shrunk - original| of the outputs of random inputs, divided by max(1, max |original|);
            both computed in float64, as far as their layers can.
    """

    model: keras.Model
    kept: Mapping[str, np.ndarray]
    pinned: Mapping[str, str]
    folded: Mapping[str, int]
    max_difference: float


def shrink(model: keras.Model) -> ShrinkResult:
    """Remove every unit, filter and channel that a network can do without exactly.

    Looks at the weights alone. A unit goes if its value is constant (its kernel column is zero wherever its inputs
    vary) and the constant is 0 or can be folded into the next layer's bias, or if no layer gives it any weight. Units
    that are added together go together. A constant that meets zero padding stays, as does all that surrounds a layer
    without a rule. At least one unit of every layer stays. `model` itself is not changed.

    Raises:
        UserError: the model is subclassed or not built, or a layer cannot be copied.
        ShrinkError: the result differs from the original by more than 1e-5 of scale, or where a layer cannot run in
            float64 than such a layer may round; what rounding folded constants to a bias's type does is no difference.
    """
    graph = functional_graph(model)
    classes = channel_classes(model)
    mixers = find_mixers(classes)
    constant = constant_classes(classes, mixers)
    samples = _samples(graph)
    with keras.device("cpu:0"):  # accelerators round matrix products to fewer digits than the check needs
        expected = [observe(graph, sample, mixers, constant) for sample in samples]
    removal = find_removal(classes, mixers, constant)
    small = rebuild(model, classes, ~removal.removed, removal.biases)
    with keras.device("cpu:0"):
        results = [run_exactly(functional_graph(small.model), sample) for sample in samples]
        difference = _difference(results, expected)
        tolerance = max(_TOLERANCE, *(min(run.rounding, _GREATEST_TOLERANCE) for run in (*results, *expected)))
        if tolerance < difference < np.inf:
            results = [run_exactly(functional_graph(small.model), sample, biases=small.biases) for sample in samples]
    if not _difference(results, expected) <= tolerance:
        raise ShrinkError(
            f"the shrunk {model.name!r} differs from the original by {difference:.1e} of scale (at most "
            f"{tolerance:.1g}): a layer does not do what its shrinking rule says"
        )
    return ShrinkResult(
        model=small.model,
        kept={name: np.flatnonzero(~removal.removed[ids]) for name, ids in classes.units.items()},
        pinned={**classes.pinned_reasons, **removal.kept},
        folded=removal.folded,
        max_difference=difference,
    )


def _samples(graph: Any) -> list[list[np.ndarray]]:
    """Random inputs for a graph, the same in every call: one list of arrays, or two if it takes any size."""
    rng = np.random.default_rng(_SEED)
    is_free = any(None in tensor.shape[1:] for tensor in graph.inputs)
    return [
        [_sample(rng, tensor, size) for tensor in graph.inputs]
        for size in (_FREE_SIZES if is_free else _FREE_SIZES[:1])
    ]


def _sample(rng: np.random.Generator, tensor: Any, free_size: int) -> np.ndarray:
    batch = tensor.shape[0] or _SAMPLES
    shape = (batch, *(free_size if size is None else size for size in tensor.shape[1:]))
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if "float" in dtype:
        return keras.ops.cast(rng.random(shape, dtype=np.float32), dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def _difference(results: Sequence[ExactRun], expected: Sequence[ExactRun]) -> float:
    """Largest relative difference; NaN counts as one unless both have it at the same place."""
    worst = 0.0
    for result, original in zip(results, expected, strict=True):
        for got, want in zip(result.outputs, original.outputs, strict=True):
            same = (got == want) | (np.isnan(got) & np.isnan(want))
            error = np.where(same, 0.0, np.abs(got - np.where(same, 0.0, want)))
            worst = np.maximum(worst, error.max(initial=0) / max(1.0, np.abs(want[np.isfinite(want)]).max(initial=0)))
    return float(worst)
