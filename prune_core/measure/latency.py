"""How long a forward pass takes, measured against the dense network at the same moment on the same machine."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.network.sample_shape import fits

# Enough rounds for a median; slow networks must not delay a sweep, and fast ones need not be run thousands of times.
_BUDGET_S = 0.1
_BEST_OF = 3
_LEAST_ROUNDS = 3
_MOST_ROUNDS = 100


@dataclass(frozen=True)
class Latency:
    """Median times of one forward pass of a batch, in milliseconds.

    Attributes:
        dense_ms: of the dense network.
        pruned_ms: of the pruned one.
    """

    dense_ms: float
    pruned_ms: float

    @property
    def speedup(self) -> float:
        """How many times faster the pruned network is."""
        return self.dense_ms / self.pruned_ms


class Forward:
    """A compiled forward pass on a fixed batch of noise. Build it once for a baseline that many trials compare with.

    It is a plain TensorFlow graph: compiling one takes 20 to 30 ms for small networks, with XLA (`jit_compile`) 100 to
    200 ms, for no gain at batch 256 (measured on 2 CPU cores; convolutions even lose). It reads the model's weights
    when it runs, so that a model changed later is measured as it is then.

    Calling it runs and times one pass; `run` gives the outputs.

    Args:
        model: a functional or built Sequential model.
        batch_size: samples a pass.
        seed: of the noise, uniform in [0, 1); whole-number inputs get zeros.
        sample_shape: shape of one sample, for a model of one input that takes samples of several sizes.

    Raises:
        UserError: a subclassed or unbuilt model, or an open input shape without a `sample_shape` that fits it.
    """

    def __init__(
        self, model: keras.Model, batch_size: int = 256, seed: int = 0, sample_shape: Sequence[int] | None = None
    ) -> None:
        self.batch_size = batch_size
        noise = [tf.constant(array) for array in _noise(model, batch_size, seed, sample_shape)]
        structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        batch = keras.tree.pack_sequence_as(structure, noise)
        compiled = tf.function(lambda given: model(given, training=False)).get_concrete_function(batch)
        self._model = model  # the graph reads its weights without keeping them alive
        self.run: Callable[[], Any] = lambda: compiled(batch)
        for _ in range(2):  # the first calls optimise the graph and set up memory
            self()

    def __call__(self) -> float:
        """Run once; seconds until the outputs could be read."""
        start = time.perf_counter()
        for output in keras.tree.flatten(self.run()):
            output.numpy()
        return time.perf_counter() - start


def compare_latency(
    dense: keras.Model | Forward,
    pruned: keras.Model | Forward,
    batch_size: int = 256,
    rounds: int | None = None,
    seed: int = 0,
    sample_shape: Sequence[int] | None = None,
) -> Latency:
    """Medians over interleaved turns (dense, pruned, dense, pruned, ...), so that a busy moment slows both alike.

    A turn counts the best of three passes: a pass that the operating system interrupts for another process, as it does
    where trials run side by side, says nothing about the network.

    Args:
        dense: the baseline, or its `Forward` made earlier with the same batch size.
        pruned: the network to compare, as a physically smaller model where units were removed: zeros left in place
            save no time on dense hardware.
        batch_size: samples a pass.
        rounds: number of turns of each; None: as many as fit into a tenth of a second, 3 to 100.
        seed: of the input noise.
        sample_shape: shape of one sample, for models that take samples of several sizes.

    Raises:
        UserError: a model that cannot be run on its own, or a `Forward` of another batch size.
    """
    passes = [_forward(network, batch_size, seed, sample_shape) for network in (dense, pruned)]
    samples: list[list[float]] = [[], []]
    end = time.perf_counter() + _BUDGET_S
    while _goes_on(len(samples[0]), rounds, end):
        for run, times in zip(passes, samples, strict=True):
            times.append(min(run() for _ in range(_BEST_OF)))
    return Latency(*(1e3 * statistics.median(times) for times in samples))


def _goes_on(done: int, rounds: int | None, end: float) -> bool:
    if rounds is not None:
        return done < max(1, rounds)
    return done < _LEAST_ROUNDS or (done < _MOST_ROUNDS and time.perf_counter() < end)


def _forward(network: keras.Model | Forward, batch_size: int, seed: int, sample_shape: Sequence[int] | None) -> Forward:
    if not isinstance(network, Forward):
        return Forward(network, batch_size, seed, sample_shape)
    if network.batch_size != batch_size:
        raise UserError(
            f"batch_size={batch_size} but the compiled forward pass takes {network.batch_size}: use one size"
        )
    return network


def _noise(model: keras.Model, batch_size: int, seed: int, sample_shape: Sequence[int] | None) -> list[np.ndarray]:
    if not getattr(model, "inputs", None):
        raise UserError(
            f"model {model.name!r} has no graph: latency is measured for functional and built Sequential models"
        )
    generator = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        taken = tensor.shape[1:]
        if None in taken and sample_shape is not None and fits(sample_shape, taken):
            taken = tuple(sample_shape)
        if None in taken:
            raise UserError(
                f"input {tensor.name!r} has an open shape {tensor.shape}: give sample_shape, the shape of one sample"
            )
        dtype = tf.as_dtype(tensor.dtype)
        shape = (batch_size, *taken)
        noise = generator.random(shape, np.float32) if dtype.is_floating else np.zeros(shape)
        arrays.append(noise.astype(dtype.as_numpy_dtype))
    return arrays
