"""Relevance propagated from a network's outputs back to its inputs, and averaged over samples."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.network.keras_internals import mask_of
from prune_core.registry import closest
from prune_core.relevance.rules import rule_of
from prune_core.relevance.starts import STARTS
from prune_core.relevance.steps import RelevanceStep, as_graph, unroll
from prune_core.weights import kernel_attributes

logger = logging.getLogger(__name__)

_OUTPUTS = "outputs"
_ENDS = {_OUTPUTS: "is missing at the outputs: they are all zero, and all scores are too low"}
_ENDS_AT_STEP = "ends at {!r}, where input or kernel is zero (a dead layer): scores of the layers before it are too low"

# Share of all relevance that may end at one step without a warning.
_WORTH_A_WARNING = 0.01


@dataclass(frozen=True)
class Relevance:
    """Mean relevance over samples; that of each sample sums to 1 at the outputs and at every cut through the network.

    Attributes:
        channels: {layer name: (channels,)} at the output of each layer with a kernel, summed over positions and uses.
        inputs: relevance of each element of the input, shape of one sample.
        health: largest deviation from 1, over samples, of the sum that reached the inputs; rounding leaves about 1e-6.
        lost: {step name: share} of all relevance that ended at a step instead of going through it, where that is more
            than 1 %: what goes into the step, or its kernel, is zero wherever its output matters. The key "outputs"
            stands for samples whose outputs are all zero.
    """

    channels: dict[str, np.ndarray]
    inputs: np.ndarray
    health: float
    lost: dict[str, float]


def propagate(model: keras.Model, x: np.ndarray, batch_size: int = 256, start: str = "uniform") -> Relevance:
    """Propagate relevance through a functional or Sequential network, in inference mode.

    Each sample has a relevance of 1 in all, whatever its outputs. `prune_core.relevance.rules` says how it goes back.
    Layers without a rule can be given one by `register_relevance_rule`.

    Args:
        model: any graph of layers with one input.
        x: samples, shape (N, ...), N >= 1.
        batch_size: samples that go through at once; changes the result by rounding only.
        start: how a sample's relevance is shared out over the elements of all outputs: "uniform", the same to each;
            "output", in proportion to |output|.

    Raises:
        UserError: no samples, several inputs, a subclassed model, a layer without a rule, an unknown `start`, or
            outputs that are not finite.
    """
    if start not in STARTS:
        raise UserError(f"start={start!r} is not one of its values: {closest(str(start), STARTS)}")
    graph = as_graph(model)
    if len(graph.inputs) != 1:
        raise UserError(f"model {model.name!r} has {len(graph.inputs)} inputs: relevance needs a model with one input")
    if len(x) == 0:
        raise UserError("relevance needs training data and x has no samples: give at least one")
    size = min(batch_size, len(x))
    batch_sums = _compiled(graph, start)
    totals: _Sums | None = None
    health = 0.0
    broken: list[int] = []
    for first in range(0, len(x), size):
        sums, deviation, finite = batch_sums(*_padded(x[first : first + size], size))
        broken += [first + int(place) for place in np.flatnonzero(~finite.numpy()[: len(x) - first])]
        arrays = tf.nest.map_structure(lambda tensor: tensor.numpy().astype(np.float64), sums)
        totals = arrays if totals is None else tf.nest.map_structure(np.add, totals, arrays)
        health = max(health, float(deviation))
    if broken:
        raise UserError(
            f"model {model.name!r} gives outputs that are not finite for {len(broken)} of {len(x)} samples, such as "
            f"number {broken[0]}: leave them out, or train with a lower learning rate (where all positions of a sample "
            "are masked, an average over them is not a number)"
        )
    channels, inputs, lost = tf.nest.map_structure(lambda total: total / len(x), totals)
    lost = {name: float(share) for name, share in lost.items() if share > _WORTH_A_WARNING}
    for name, share in lost.items():
        logger.warning("%.1f %% of all relevance %s", 100 * share, _ENDS.get(name, _ENDS_AT_STEP).format(name))
    return Relevance(channels, inputs, health, lost)


# What one batch adds up to: relevance of channels by layer, of inputs, and what was lost by step.
_Sums = tuple[dict[str, tf.Tensor], tf.Tensor, dict[str, tf.Tensor]]
_Run = Callable[[tf.Tensor, tf.Tensor], tuple[_Sums, tf.Tensor, tf.Tensor]]


def _compiled(graph: keras.Model, start: str) -> _Run:
    # Without XLA: on CPU it needs 0.6 s to compile, gains nothing on dense networks and loses on convolutions.
    run: _Run = tf.function(lambda samples, present: _batch_sums(graph, start, samples, present), autograph=False)
    return run


def _padded(samples: np.ndarray, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples filled up to `size`, so that one compilation serves all batches, and which are real (1.0).

    They are filled up with the last one. Zeros may all be masked, and an average over nothing is not a number.
    """
    places = np.minimum(np.arange(size), len(samples) - 1)
    present = np.arange(size) < len(samples)
    return tf.constant(samples[places]), tf.constant(present, tf.float32)


def _batch_sums(
    graph: keras.Model, start: str, samples: tf.Tensor, present: tf.Tensor
) -> tuple[_Sums, tf.Tensor, tf.Tensor]:
    """Sums over a batch, the largest deviation from 1, and bool (samples,), whether all outputs are finite."""
    source = tf.cast(samples, graph.inputs[0].dtype)
    steps, outputs = unroll(graph, [source])
    at_outputs = _at_outputs(outputs, start, present)
    arrived: dict[int, tf.Tensor] = {}
    _add(arrived, outputs, at_outputs)
    channels: dict[str, tf.Tensor] = {}
    lost = {_OUTPUTS: tf.reduce_sum(present) - _total(at_outputs)}
    for step in reversed(steps):
        relevance = arrived.get(id(step.output))
        if kernel_attributes(step.operation):
            received = tf.zeros_like(step.output, tf.float32) if relevance is None else relevance
            channels[step.name] = channels.get(step.name, 0.0) + _per_channel(step, received)
        if relevance is None:  # its output serves as a mask only, which has no part in the outputs
            continue
        passed_on = rule_of(step)(step, relevance)
        _add(arrived, step.inputs, passed_on)
        lost[step.name] = lost.get(step.name, 0.0) + _total([relevance]) - _total(passed_on)
    reached = arrived.get(id(source), tf.zeros_like(source, tf.float32))
    deviation = tf.reduce_max(tf.abs(present - _per_sample(reached)))
    finite = [_per_sample(tf.where(tf.math.is_finite(tf.cast(output, tf.float32)), 0, 1)) == 0 for output in outputs]
    return (channels, tf.reduce_sum(reached, axis=0), lost), deviation, tf.reduce_all(finite, axis=0)


def _at_outputs(outputs: Sequence[tf.Tensor], start: str, present: tf.Tensor) -> list[tf.Tensor]:
    """Relevance of sum 1 a sample over the elements of all outputs; 0 in padding, which thereby counts nowhere.

    Places of an output that are masked have none.
    """
    amounts = [tf.abs(tf.cast(output, tf.float32)) for output in outputs]
    if start == "uniform":
        amounts = [tf.ones_like(amount) for amount in amounts]
    amounts = [_where_unmasked(amount, mask_of(output)) for amount, output in zip(amounts, outputs, strict=True)]
    scale = tf.math.divide_no_nan(present, sum(map(_per_sample, amounts)))
    return [amount * tf.reshape(scale, [-1] + [1] * (len(amount.shape) - 1)) for amount in amounts]


def _where_unmasked(amount: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    if mask is None:
        return amount
    ones = [1] * (len(amount.shape) - len(mask.shape))
    return tf.where(tf.reshape(mask, [*tf.unstack(tf.shape(mask)), *ones]), amount, 0.0)


def _add(arrived: dict[int, tf.Tensor], tensors: Sequence[tf.Tensor], shares: Sequence[tf.Tensor]) -> None:
    for tensor, share in zip(tensors, shares, strict=True):
        arrived[id(tensor)] = arrived[id(tensor)] + share if id(tensor) in arrived else share


def _total(shares: Sequence[tf.Tensor]) -> tf.Tensor:
    return sum(map(tf.reduce_sum, shares))


def _per_sample(relevance: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(relevance, axis=list(range(1, len(relevance.shape))))


def _per_channel(step: RelevanceStep, relevance: tf.Tensor) -> tf.Tensor:
    """Relevance summed over samples and positions, shape (channels,)."""
    rank = len(relevance.shape)
    channels_first = rank > 2 and getattr(step.operation, "data_format", None) == "channels_first"
    axis = 1 if channels_first else rank - 1
    return tf.reduce_sum(relevance, axis=[i for i in range(rank) if i != axis])
