"""Finding out how the outputs of a classifier are to be read: as logits or as probabilities."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.network.keras_internals import layers_within
from prune_core.tasks.compiled_loss import CompiledLoss, loss_of
from prune_core.tasks.output_graph import by_graph
from prune_core.tasks.output_kind import OutputKind
from prune_core.tasks.output_values import Kind, is_one

# How many samples are looked at where only the outputs themselves can tell.
_SAMPLES = 256
# How far from 1 the sum of a sample's probabilities may be, by the coarsest type that is computed in.
_ROUNDING = {"float16": 1e-2, "bfloat16": 5e-2}
_FINE_ROUNDING = 1e-4


@dataclass(frozen=True)
class Finding:
    """What was found out about the outputs of a network.

    Attributes:
        kind: how they are read.
        remark: a sentence for a person where that had to be assumed; None where it is known.
    """

    kind: OutputKind
    remark: str | None = None


def find_outputs(model: keras.Model, x: np.ndarray | None = None, loss: CompiledLoss | None = None) -> Finding:
    """How the outputs of a network are to be read.

    Its graph decides; where it cannot, the loss that the network was compiled with; where there is none, its outputs
    on data: numbers from 0 to 1 that sum to 1 for every sample are probabilities.

    Args:
        model: a classifier as it was given: a copy is not compiled, and a pruned network answers otherwise.
        x: samples that it takes.
        loss: what it was compiled with, if that stands elsewhere.

    Raises:
        UserError: a single output that is neither a probability nor a logit.
    """
    found, loss = by_graph(model), loss or loss_of(model)
    is_binary = is_single(model)
    told = None if loss is None else loss.takes_probabilities
    if found.kind is Kind.PROBABILITIES and is_one(found.total):
        return Finding(_kind(is_binary, is_probability=True))
    if found.kind is Kind.LOGITS or (found.kind is Kind.LOG_PROBABILITIES and not is_binary):
        if is_binary and loss is not None and loss.is_regression:
            raise UserError(
                f"the network {model.name!r} has one linear output and is compiled with {loss.name}: it tells a "
                "quantity, not a class; end it in a sigmoid, or compile it with BinaryCrossentropy(from_logits=True)"
            )
        return Finding(_kind(is_binary, is_probability=False), _remark_on_logits(model, is_binary, loss))
    if told is not None:
        return Finding(_kind(is_binary, is_probability=told))
    if is_binary and found.kind is not Kind.UNKNOWN:
        raise UserError(
            f"the one output of the network {model.name!r} is neither a probability nor a logit: end it in a sigmoid, "
            "or in a linear layer"
        )
    seen = x is not None and _are_probabilities(model, x[:_SAMPLES], is_binary)
    kind = _kind(is_binary, is_probability=seen)
    remark = f"the one output of the network {model.name!r} is taken for the {kind.value}, judged by its values alone"
    return Finding(kind, remark if is_binary else None)


def is_single(model: keras.Model) -> bool:
    """Whether a network gives one number a sample."""
    shape = tuple(keras.tree.flatten(model.outputs)[0].shape) if model.outputs else ()
    return shape[1:] in ((), (1,)) and bool(shape)


def answers_of(model: keras.Model, samples: tf.Tensor, *, training: bool = False) -> tf.Tensor:
    """The output of a network that has one, in a list or not."""
    return keras.tree.flatten(model(samples, training=training))[0]


def refuse_dropout_behind(model: keras.Model) -> None:
    """Refuse to train a network whose outputs go through a dropout: the loss would be that of thinned-out answers.

    Raises:
        UserError: it has one.
    """
    name = by_graph(model).dropout
    if name is not None:
        raise UserError(f"layer {name!r} is a dropout after the output: remove it")


def _kind(is_binary: bool, *, is_probability: bool) -> OutputKind:
    if is_binary:
        return OutputKind.BINARY_PROBABILITY if is_probability else OutputKind.BINARY_LOGIT
    return OutputKind.PROBABILITIES if is_probability else OutputKind.LOGITS


def _remark_on_logits(model: keras.Model, is_binary: bool, loss: CompiledLoss | None) -> str | None:
    told = None if loss is None else loss.takes_probabilities
    if loss is not None and told:
        return (
            f"the network {model.name!r} is compiled with {loss.name} of probabilities, but does not end in them: what "
            "it gives is taken for logits"
        )
    if is_binary and told is None:
        return f"the one output of the network {model.name!r} is linear, and is taken for the logit of class 1"
    return None


def _are_probabilities(model: keras.Model, x: np.ndarray, is_binary: bool) -> bool:
    rounding = max([_FINE_ROUNDING, *(_ROUNDING.get(layer.compute_dtype, 0.0) for layer in layers_within(model))])
    values = answers_of(model, tf.constant(x)).numpy().astype(np.float64).reshape(len(x), -1)
    within = bool(((values >= 0) & (values <= 1 + rounding)).all())
    return within and (is_binary or bool((np.abs(values.sum(axis=1) - 1) <= rounding).all()))
