"""Losses and hits of a classifier, by the kind of its outputs: in NumPy to evaluate it, in TensorFlow to train it."""

import keras
import numpy as np
import tensorflow as tf

from prune_core.tasks.output_kind import OutputKind


def classes_of(kind: OutputKind, outputs: np.ndarray) -> np.ndarray:
    """The class that each sample is taken for, int64 (N,)."""
    if not kind.is_binary:
        highest: np.ndarray = outputs.argmax(axis=1)
        return highest
    return (outputs.reshape(len(outputs)) > kind.boundary).astype(np.int64)


def log_probabilities(kind: OutputKind, outputs: np.ndarray) -> np.ndarray:
    """Logarithm of how likely each class is, (N, classes), of outputs in float64.

    As in Keras, probabilities are kept away from 0, so that the loss stays finite, and made to sum to 1.
    """
    epsilon = keras.config.epsilon()
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind is OutputKind.BINARY_PROBABILITY:
            likely = np.clip(outputs.reshape(len(outputs)), epsilon, 1 - epsilon)
            logits = np.stack([np.log1p(-likely), np.log(likely)], axis=1)
        elif kind is OutputKind.BINARY_LOGIT:
            logits = np.stack([np.zeros(len(outputs)), outputs.reshape(len(outputs))], axis=1)
        elif kind is OutputKind.PROBABILITIES:
            logits = np.log(np.clip(outputs, epsilon, 1.0))
        else:
            logits = outputs
        logits = logits - logits.max(axis=1, keepdims=True)
        result: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return result


def cross_entropy(kind: OutputKind, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of a batch in nats, float32; `labels` are class indices (N,)."""
    if outputs.dtype in (tf.float16, tf.bfloat16):  # 1 - epsilon is 1 there
        outputs = tf.cast(outputs, tf.float32)
    from_logits = not kind.is_probability
    if kind.is_binary:
        column = outputs if len(outputs.shape) == 2 else outputs[:, tf.newaxis]
        wanted = tf.cast(labels, column.dtype)[:, tf.newaxis]
        losses = keras.losses.binary_crossentropy(wanted, column, from_logits=from_logits)
    else:
        losses = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=from_logits)
    return tf.reduce_mean(tf.cast(losses, tf.float32))


def hits(kind: OutputKind, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Which samples of a batch are classified correctly, bool (N,)."""
    if kind.is_binary:
        found = tf.cast(tf.reshape(outputs, [-1]) > kind.boundary, tf.int64)
    else:
        found = tf.argmax(outputs, axis=-1)
    return tf.equal(found, tf.cast(labels, tf.int64))
