"""Random inputs on which networks that should compute the same are compared."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from prune_core.network.keras_internals import layers_within

_SEED = 20260101
_SAMPLES = 2
# Sizes for axes of unknown size, the first that a network runs on: strides and poolings need some room.
_FREE_SIZES = (96, 64, 32, 224, 16, 7, 1)
_LEVELS = 128
_WORDS = ["a", "b"]


def random_inputs(model: keras.Model) -> Iterator[list[list[Any]]]:
    """Batches of inputs for a network, the same ones in every call; the first that it runs on is to be used.

    Some samples are uniform in [0, 1). The others hold other values that people feed to networks, standard normal ones
    and sizes up to 10,000. They reveal a layer that lost what it knew of large inputs (ages, prices). The last batches,
    for networks that do not take such values, are without them. Whole numbers stay within the smallest vocabulary of
    the network (`Embedding`, `CategoryEncoding`, lookup tables).

    Yields:
        A list of one or two batches; a batch is one tensor for each input.
    """
    values = RandomValues(model)
    has_free_size = any(None in tensor.shape[1:] for tensor in model.inputs)
    has_free_batch = all(tensor.shape[0] is None for tensor in model.inputs)
    for size in _FREE_SIZES if has_free_size else _FREE_SIZES[:1]:
        shapes = [tuple(size if n is None else n for n in (t.shape[0] or _SAMPLES, *t.shape[1:])) for t in model.inputs]
        plain, wide = values.batch(shapes), values.batch(shapes, wide=True)
        both = list(zip(plain, wide, strict=True))
        yield [[keras.ops.concatenate(pair) for pair in both]] if has_free_batch else [plain, wide]
        yield [plain]


class RandomValues:
    """Draws inputs for a network, from the same seed each time."""

    def __init__(self, model: keras.Model) -> None:
        self._inputs = list(model.inputs)
        layers = [layer for layer in layers_within(model) if not isinstance(layer, keras.Model)]
        sizes = [getattr(layer, name, None) for layer in layers for name in ("input_dim", "num_tokens")]
        self._limit = min((size for size in sizes if isinstance(size, int) and size > 0), default=None)
        tokens = [token for layer in layers if hasattr(layer, "get_vocabulary") for token in layer.get_vocabulary()]
        self._numbers = [int(token) for token in tokens if isinstance(token, (int, np.integer)) and token >= 0]
        self._words = [token for token in tokens if isinstance(token, str) and token not in ("", "[UNK]")] or _WORDS
        self._rng = np.random.default_rng(_SEED)

    def batch(self, shapes: Sequence[tuple[int, ...]], *, wide: bool = False) -> list[Any]:
        """One tensor of each shape, batch axis included, for each input of the network.

        Args:
            shapes: in the order of the inputs.
            wide: whether there are all sizes of numbers in it, beyond fractions in [0, 1), 0 and 1.
        """
        return [self._tensor(tensor.dtype, shape, wide) for tensor, shape in zip(self._inputs, shapes, strict=True)]

    def _tensor(self, kind: Any, shape: tuple[int, ...], wide: bool) -> Any:
        dtype = keras.backend.standardize_dtype(kind)
        if dtype == "string":
            return keras.ops.convert_to_tensor(self._rng.choice(self._words, shape).tolist())
        draw: Callable[..., np.ndarray] = self._fractions if "float" in dtype else self._whole_numbers
        return keras.ops.cast(draw(shape, wide and dtype != "bool"), dtype)

    def _fractions(self, shape: tuple[int, ...], wide: bool) -> np.ndarray:
        if not wide:
            return self._rng.random(shape, dtype=np.float32)
        if self._limit is not None:
            return (self._rng.random(shape) * self._limit).astype(np.float32)
        values = self._rng.normal(size=shape)
        values[::2] = 10 ** self._rng.uniform(-2, 4, values[::2].shape)
        return values.astype(np.float32)

    def _whole_numbers(self, shape: tuple[int, ...], wide: bool) -> np.ndarray:
        if self._numbers:
            return self._rng.choice(self._numbers, shape)
        return self._rng.integers(0, min(_LEVELS if wide else 2, self._limit or _LEVELS), shape)
