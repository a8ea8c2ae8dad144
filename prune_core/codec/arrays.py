"""One array as byte streams, bit for bit, in the smallest of four simple representations.

All work is done on bit patterns (the floats' bits read as unsigned whole numbers), so that -0.0, infinities and NaN
payloads survive; "zero" is the all-zero pattern, which -0.0 is not. The representations are two independent choices:

- masked: a bit-packed mask of the non-zero elements first, then only these; else all elements.
- indexed: the distinct values first (a codebook), then an index into them per element; else the elements themselves.

Whole numbers of several bytes are split into byte planes (first all lowest bytes, ... last all highest): the planes of
float32 weights that hold mantissas are incompressible, the one that holds sign and exponent shrinks to about a third.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from prune_core.codec.streams import Reader, malformed, pack, pack_number

# A longer array is only tried in the representations that can win.
_TRY_ALL = 4096
_MAX_SYMBOLS = 1 << 16
_MASKED = 1
_INDEXED = 2


def encode_array(array: np.ndarray) -> bytes:
    """The elements of an array of any shape and fixed-size dtype; shape and dtype are not stored."""
    bits = _bit_patterns(array)
    symbols = _distinct(bits)
    return min((_encode(bits, symbols, masked, indexed) for masked, indexed in _candidates(bits, symbols)), key=len)


def decode_array(reader: Reader, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """The array that `encode_array` wrote.

    Raises:
        UserError: malformed bytes.
    """
    count = math.prod(shape)
    kind = reader.take(1)[0]
    if kind > (_MASKED | _INDEXED):
        malformed(f"representation {kind} is not known to this version")
    bits = np.zeros(count, _word(dtype.itemsize))
    present = _read_mask(reader, count) if kind & _MASKED else np.ones(count, bool)
    bits[present] = _read_values(reader, int(np.count_nonzero(present)), bits.dtype, bool(kind & _INDEXED))
    return bits.astype(bits.dtype.newbyteorder("=")).view(dtype).reshape(tuple(shape))


def _candidates(bits: np.ndarray, symbols: np.ndarray) -> Iterator[tuple[bool, bool]]:
    """(masked, indexed) pairs worth trying."""
    small = bits.size <= _TRY_ALL
    has_zeros = symbols.size > 0 and symbols[0] == 0
    few_values = 0 < symbols.size <= min(_MAX_SYMBOLS, int(np.count_nonzero(bits)) // 2 + 1)
    for masked in [True, False] if has_zeros and small else [has_zeros]:
        if few_values:
            yield masked, True
        if small or not few_values:
            yield masked, False


def _encode(bits: np.ndarray, symbols: np.ndarray, masked: bool, indexed: bool) -> bytes:
    parts = [bytes([_MASKED * masked | _INDEXED * indexed])]
    if masked:
        present = bits != 0
        parts.append(pack(np.packbits(present).tobytes()))
        bits, symbols = bits[present], symbols[1:]
    if indexed:
        parts += [pack_number(symbols.size), *_planes(symbols)]
        bits = np.searchsorted(symbols, bits).astype(_index_word(symbols.size))
    return b"".join([*parts, *_planes(bits)])


def _read_mask(reader: Reader, count: int) -> np.ndarray:
    packed = np.frombuffer(reader.stream((count + 7) // 8), np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)


def _read_values(reader: Reader, count: int, word: np.dtype, indexed: bool) -> np.ndarray:
    if not indexed:
        return _read_planes(reader, count, word)
    size = reader.number()
    if size > _MAX_SYMBOLS:
        malformed("a codebook is too large")
    symbols = _read_planes(reader, size, word)
    indices = _read_planes(reader, count, _index_word(size))
    if indices.size and indices.max() >= size:
        malformed("an index points beyond its codebook")
    values: np.ndarray = symbols[indices]
    return values


def _planes(words: np.ndarray) -> list[bytes]:
    return [pack(plane.tobytes()) for plane in words.view(np.uint8).reshape(-1, words.itemsize).T]


def _read_planes(reader: Reader, count: int, word: np.dtype) -> np.ndarray:
    planes = [np.frombuffer(reader.stream(count), np.uint8) for _ in range(word.itemsize)]
    return np.stack(planes, axis=1).reshape(-1).view(word)


def _bit_patterns(array: np.ndarray) -> np.ndarray:
    words = np.ascontiguousarray(array).reshape(-1).view(_word(array.dtype.itemsize).newbyteorder("="))
    return words.astype(_word(array.dtype.itemsize), copy=False)


def _distinct(bits: np.ndarray) -> np.ndarray:
    """Distinct values, ascending. Sorting beats the hash table of `np.unique` twenty times on a million floats."""
    ordered = np.sort(bits)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def _word(itemsize: int) -> np.dtype:
    return np.dtype(f"<u{itemsize}")


def _index_word(symbols: int) -> np.dtype:
    return _word(1 if symbols <= 256 else 2)
