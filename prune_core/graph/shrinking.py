"""Remove silent units physically: a smaller dense network that computes the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.graph.classes import ChannelClasses
from prune_core.graph.exact import ExactRun, run_exactly
from prune_core.graph.layer_outputs import layer_outputs
from prune_core.graph.rebuild import rebuild
from prune_core.graph.silence import constant_classes, find_mixers, find_removal, observe
from prune_core.graph.trace import channel_classes
from prune_core.network.keras_internals import pack_inputs
from prune_core.network.random_inputs import RandomValues
from prune_core.network.sample_shape import fits
from prune_core.network.walk import functional_graph

# Largest difference from the original's outputs, relative to the greatest of them, in float64.
_TOLERANCE = 1e-5
# Upper limit of that tolerance, however much single steps round.
_GREATEST_TOLERANCE = 0.1
_SAMPLES = 2
# Two sizes, one odd, for axes of unknown size: what a constant does at the borders depends on them.
_FREE_SIZES = (96, 107)


class ShrinkError(RuntimeError):
    """A shrunk network did not compute the same as its original; it was not returned."""


@dataclass(frozen=True)
class ShrinkResult:
    """A network without its silent units.

    Attributes:
        model: functional, with the original's layer names, dtypes and trainable flags; not compiled.
        kept: {layer name: indices of the units that stay, ascending}, for every layer with units.
        pinned: {layer name: one sentence} for layers of which no unit, or not every silent unit, could be removed.
        folded: {layer name: number of constant inputs whose effect now is in its bias}.
        max_difference: largest |shrunk - original| of the outputs of random inputs, divided by max(1, max |original|);
            both computed in float64, except layers that cannot run in it.
    """

    model: keras.Model
    kept: Mapping[str, np.ndarray]
    pinned: Mapping[str, str]
    folded: Mapping[str, int]
    max_difference: float


def shrink(model: keras.Model, sample_shape: Sequence[int] | None = None) -> ShrinkResult:
    """Remove every unit, filter and channel that a network can do without exactly.

    Looks at the weights alone. A unit goes if its value is constant (its kernel column is zero wherever its inputs
    vary) and the constant is 0 or can be folded into the next layer's bias, or if no layer gives it any weight. Units
    that are added together go together. A constant that meets zero padding stays, and so does everything around a layer
    without a rule. At least one unit of every layer stays. `model` itself is not changed.

    Args:
        model: a built Sequential or functional model.
        sample_shape: shape of one sample, for a model of one input that takes certain sizes without saying which.

    Raises:
        UserError: the model is subclassed or not built, a layer cannot be copied, or no size is known that it takes.
        ShrinkError: the result differs from the original by more than 1e-5 of scale, or, where a layer cannot run in
            float64, by more than the rounding of such a layer. Rounding of folded constants to a bias's type does not
            count.
    """
    graph = functional_graph(model)
    classes = channel_classes(model)
    mixers = find_mixers(classes)
    constant = constant_classes(classes, mixers)
    samples = _samples(graph, sample_shape)
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
        name = _first_difference(graph, small.model, classes, ~removal.removed, samples, tolerance)
        raise ShrinkError(
            f"the shrunk {model.name!r} differs from the original by {difference:.1e} of scale (at most "
            f"{tolerance:.1g}): layer {name!r} does not do what its shrinking rule says"
        )
    return ShrinkResult(
        model=small.model,
        kept={name: np.flatnonzero(~removal.removed[ids]) for name, ids in classes.units.items()},
        pinned={**classes.pinned_reasons, **removal.kept},
        folded=removal.folded,
        max_difference=difference,
    )


def _samples(graph: Any, sample_shape: Sequence[int] | None) -> list[list[np.ndarray]]:
    """Random inputs for a graph, the same in every call: one list of arrays, or two if it takes any size."""
    own = [(tensor.shape[0] or _SAMPLES, *tensor.shape[1:]) for tensor in graph.inputs]
    free = [[tuple(n or size for n in shape) for shape in own] for size in _FREE_SIZES]
    is_free = any(None in shape for shape in own)
    if is_free and len(own) == 1 and sample_shape is not None and fits(sample_shape, own[0][1:]):
        free.append([(own[0][0], *sample_shape)])
    values = RandomValues(graph)
    samples = [values.batch(shapes) for shapes in (free if is_free else free[:1])]
    taken = [sample for sample in samples if _takes(graph, sample)] if is_free else samples
    if not taken:
        raise UserError(
            f"the network leaves sizes open and takes neither {' nor '.join(map(str, _FREE_SIZES))}: give data, or the "
            "shape of a sample, of a size that it takes"
        )
    return taken[: len(_FREE_SIZES)]


def _takes(graph: Any, sample: list[np.ndarray]) -> bool:
    """Whether a network of open size takes this one: only a run shows which sizes it does not take."""
    try:
        with keras.device("cpu:0"):
            graph(pack_inputs(graph, sample), training=False)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return False
    return True


def _first_difference(
    graph: Any,
    small: keras.Model,
    classes: ChannelClasses,
    kept: np.ndarray,
    samples: Sequence[list[Any]],
    tolerance: float,
) -> str:
    """Name of the first layer that gives other outputs in a shrunk network, in the channels that were kept."""
    channels = {trace.path: [kept[ids] for ids in trace.traced.outputs] for trace in classes.traces.values()}
    for sample in samples:
        found, _ = layer_outputs(functional_graph(small), sample, np.copy)
        for key, wanted in layer_outputs(graph, sample, np.copy)[0].items():
            given = found.get(key, [])
            cut = [
                one if one.shape[-1:] == other.shape[-1:] else one[..., own]
                for one, other, own in zip(wanted, given, channels.get(key[0], [...] * len(wanted)), strict=False)
            ]
            if len(cut) != len(wanted) or not _apart(given, cut) <= tolerance:
                return key[0]
    return str(small.layers[-1].name)


def _difference(results: Sequence[ExactRun], expected: Sequence[ExactRun]) -> float:
    """Largest relative difference of outputs."""
    pairs = zip(results, expected, strict=True)
    return max(_apart(result.outputs, original.outputs) for result, original in pairs)


def _apart(results: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Largest relative difference; NaN counts as one unless both have it at the same place."""
    worst = 0.0
    for got, want in zip(results, expected, strict=True):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        error = np.where(same, 0.0, np.abs(got - np.where(same, 0.0, want)))
        worst = np.maximum(worst, error.max(initial=0) / max(1.0, np.abs(want[np.isfinite(want)]).max(initial=0)))
    return float(worst)
