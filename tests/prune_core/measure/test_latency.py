"""Latency: what is run and how often; never how long it took."""

import keras
import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.measure import Forward, compare_latency
from prune_core.measure.latency import Latency

L = keras.layers


class Counter(L.Layer):
    """Writes each executed call's batch size, and whether it was a training call, into `log`."""

    def __init__(self, log: list, label: str) -> None:
        super().__init__()
        self.note = lambda size, training: log.append((label, size, training))  # Keras would copy a list

    def call(self, x, training=False):
        import tensorflow as tf

        note = tf.py_function(lambda size: self.note(int(size), training), [tf.shape(x)[0]], [])
        with tf.control_dependencies([note]):
            return tf.identity(x)


def counted(log: list, label: str) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), Counter(log, label), L.Dense(2)])


def test_speedup():
    assert Latency(dense_ms=6.0, pruned_ms=1.5).speedup == 4.0


def test_turns_of_three_passes_alternate_in_inference_mode():
    log: list = []
    dense, pruned = (Forward(counted(log, label), batch_size=7) for label in ("dense", "pruned"))
    log.clear()
    latency = compare_latency(dense, pruned, batch_size=7, rounds=3)
    assert log == ([("dense", 7, False)] * 3 + [("pruned", 7, False)] * 3) * 3
    assert latency.dense_ms > 0
    assert latency.pruned_ms > 0


def test_rounds_are_bounded():
    log: list = []
    dense = Forward(counted(log, "dense"), batch_size=2)
    log.clear()
    compare_latency(dense, dense, batch_size=2)
    assert 2 * 3 * 3 <= len(log) <= 2 * 3 * 100


def test_a_forward_reads_the_weights_of_the_moment():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    forward = Forward(model, batch_size=2)
    model.set_weights([np.zeros((3, 2)), np.array([1.0, 2.0])])
    assert np.array(forward.run()).tolist() == [[1.0, 2.0]] * 2


def test_several_inputs_and_outputs():
    first, second = keras.Input((3,), name="first"), keras.Input((4,), dtype="int32", name="second")
    both = L.Concatenate()([first, L.Embedding(5, 2)(second)[:, 0]])
    for inputs in ([first, second], {"first": first, "second": second}):
        model = keras.Model(inputs, {"a": L.Dense(2)(both), "b": both})
        assert compare_latency(model, model, batch_size=2, rounds=1).dense_ms > 0


def test_a_sample_tells_an_open_size():
    model = keras.Sequential([keras.Input((None, 3)), L.Dense(2)])
    assert np.shape(Forward(model, batch_size=4, sample_shape=(5, 3)).run()) == (4, 5, 2)
    assert compare_latency(model, model, batch_size=4, rounds=1, sample_shape=(5, 3)).dense_ms > 0


def test_a_forward_of_another_batch_size_is_refused():
    forward = Forward(keras.Sequential([keras.Input((3,)), L.Dense(2)]), batch_size=8)
    with pytest.raises(UserError, match=r"batch_size=16 .* takes 8"):
        compare_latency(forward, forward, batch_size=16)


def test_models_that_cannot_run_alone_are_refused():
    with pytest.raises(UserError, match=r"open shape .* give sample_shape"):
        Forward(keras.Sequential([keras.Input((None, 3)), L.Dense(2)]))
    with pytest.raises(UserError, match="no graph"):
        Forward(keras.Sequential([L.Dense(2)]))
