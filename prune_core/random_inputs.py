"""Random inputs on which two networks that should compute the same are compared."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

_SEED = 20260101
_SAMPLES = 2
# Sizes for axes of unknown size, the first that a network runs on: strides and poolings ask for some room.
_FREE_SIZES = (96, 64, 32, 224, 16, 7, 1)
_LEVELS = 256
_WORDS = ("a", "b")


def random_inputs(model: keras.Model, graph: Any) -> Iterator[tuple[list[Any], ...]]:
    """Sets of inputs for a network, the same ones in every call; the first set that it runs on will do.

    Each set has one or two lists of tensors, one tensor an input. Those of the first list are uniform in [0, 1). Those
    of the second have what else people feed to networks: standard normal values and any size up to 10,000, so that a
    layer which forgot that its inputs are ages, prices or pixels is seen. Whole numbers stay within the smallest
    vocabulary of the network (`Embedding`, `CategoryEncoding`, lookup tables).

    Args:
        model: the network, of which the layers with a vocabulary are asked.
        graph: its functional graph, of which the inputs are asked.
    """
    values = _Values(model)
    is_free = any(None in tensor.shape[1:] for tensor in graph.inputs)
    for size in _FREE_SIZES if is_free else _FREE_SIZES[:1]:
        plain, wide = ([draw(tensor, size) for tensor in graph.inputs] for draw in (values.plain, values.wide))
        yield plain, wide
        yield (plain,)


class _Values:
    def __init__(self, model: keras.Model) -> None:
        layers = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
        sizes = [getattr(layer, name, None) for layer in layers for name in ("input_dim", "num_tokens")]
        self._limit = min((size for size in sizes if isinstance(size, int) and size > 0), default=None)
        tokens = [token for layer in layers if hasattr(layer, "get_vocabulary") for token in layer.get_vocabulary()]
        self._numbers = [token for token in tokens if isinstance(token, (int, np.integer)) and token >= 0]
        self._words = [token for token in tokens if isinstance(token, str) and token not in ("", "[UNK]")]
        self._rng = np.random.default_rng(_SEED)

    def plain(self, tensor: Any, size: int) -> Any:
        shape, dtype = _shape(tensor, size), keras.backend.standardize_dtype(tensor.dtype)
        if "float" in dtype:
            return keras.ops.cast(self._rng.random(shape, dtype=np.float32), dtype)
        return self._whole(shape, dtype, 2)

    def wide(self, tensor: Any, size: int) -> Any:
        shape, dtype = _shape(tensor, size), keras.backend.standardize_dtype(tensor.dtype)
        if "float" not in dtype:
            return self._whole(shape, dtype, self._limit or _LEVELS)
        if self._limit is not None:
            values = self._rng.random(shape) * self._limit
        else:
            values = self._rng.normal(size=shape)
            values[::2] = 10 ** self._rng.uniform(-2, 4, values[::2].shape)
        return keras.ops.cast(values.astype(np.float32), dtype)

    def _whole(self, shape: tuple[int, ...], dtype: str, limit: int) -> Any:
        if dtype == "string":
            return keras.ops.convert_to_tensor(self._rng.choice(self._words or _WORDS, shape).tolist())
        if dtype == "bool":
            return self._rng.integers(0, 2, shape).astype(bool)
        if self._numbers:
            return self._rng.choice(self._numbers, shape).astype(dtype)
        return self._rng.integers(
            0, min(limit, self._limit or limit, _LEVELS // 2 if dtype == "int8" else limit), shape
        ).astype(dtype)


def _shape(tensor: Any, free_size: int) -> tuple[int, ...]:
    batch = tensor.shape[0] or _SAMPLES
    return (batch, *(free_size if size is None else size for size in tensor.shape[1:]))
