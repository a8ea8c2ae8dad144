"""Byte streams, each stored with the standard codec that makes it smallest, and read back from untrusted bytes.

A stream is one codec byte, its stored length and the stored bytes. Its unpacked length is not stored: the reader knows
it already, so that no malformed stream can grow beyond what is expected.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from prune_core.errors import UserError

# Longer streams choose their codec by a sample of this size: lzma costs a quarter of a second a megabyte.
_RACE_WHOLE = 1 << 16
_SAMPLE_SLICE = 1 << 13
# Huffman codes or a quick search for repetitions must shrink a stream to this, else it is stored as it is.
_WORTHWHILE = 0.98
# A long stream uses another codec only if that shrinks it to this fraction of its size with Huffman codes: the others
# take 10 to 60 times as long.
_WORTHWHILE_SLOW = 0.75

# The preset's dictionary of 8 MB takes 2 ms to set up, more than most streams take to compress.
_LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20, "pb": 0}]


@dataclass(frozen=True)
class _Codec:
    compress: Callable[[bytes], bytes]
    # Called with the stored bytes and one more than the expected length; returns the bytes and whether the end was met.
    expand: Callable[[bytes, int], tuple[bytes, bool]]


def _deflate(strategy: int, level: int) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        return deflater.compress(data) + deflater.flush()

    return compress


def _inflate(stored: bytes, limit: int) -> tuple[bytes, bool]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(stored, limit)
    return data, inflater.eof and not inflater.unused_data


def _bunzip(stored: bytes, limit: int) -> tuple[bytes, bool]:
    decompressor = bz2.BZ2Decompressor()
    data = decompressor.decompress(stored, limit)
    return data, decompressor.eof and not decompressor.unused_data


def _unlzma(stored: bytes, limit: int) -> tuple[bytes, bool]:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA_FILTERS)
    data = decompressor.decompress(stored, limit)
    return data, decompressor.eof and not decompressor.unused_data


_RAW = 0
_HUFFMAN = 1
# The place in this list is the codec byte: append only. Huffman alone beats the others on noise with a skewed
# distribution (exponents, bits of a mask, codebook indices), and at 5 ms a megabyte; the others find repetitions.
_CODECS = [
    _Codec(lambda data: data, lambda stored, limit: (stored[:limit], True)),
    _Codec(_deflate(zlib.Z_HUFFMAN_ONLY, 9), _inflate),
    _Codec(_deflate(zlib.Z_DEFAULT_STRATEGY, 6), _inflate),
    _Codec(lambda data: bz2.compress(data, 9), _bunzip),
    _Codec(lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=_LZMA_FILTERS), _unlzma),
]


def pack(data: bytes) -> bytes:
    """`data` as a stream; the same bytes always make the same stream (with the same zlib)."""
    code, stored = _smallest(data)
    return bytes([code]) + pack_number(len(stored)) + stored


def pack_number(value: int) -> bytes:
    """A whole number >= 0, seven bits a byte, lowest first, the top bit set on all bytes but the last."""
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _smallest(data: bytes) -> tuple[int, bytes]:
    """(codec byte, stored bytes)."""
    huffman = _CODECS[_HUFFMAN].compress(data)
    sample = data if len(data) <= _RACE_WHOLE else _sample(data)
    if len(huffman) >= _WORTHWHILE * len(data) and len(zlib.compress(sample, 1)) >= _WORTHWHILE * len(sample):
        return _RAW, data
    trials = {code: codec.compress(sample) for code, codec in enumerate(_CODECS)}
    code = min(trials, key=lambda code: len(trials[code]))
    if sample is data:
        return code, trials[code]
    if code == _RAW or len(trials[code]) >= _WORTHWHILE_SLOW * len(trials[_HUFFMAN]):
        code = _HUFFMAN
    stored = huffman if code == _HUFFMAN else _CODECS[code].compress(data)
    return min((code, stored), (_HUFFMAN, huffman), (_RAW, data), key=lambda trial: len(trial[1]))


def _sample(data: bytes) -> bytes:
    """Two slices, a third and two thirds of the way through."""
    return b"".join(data[start : start + _SAMPLE_SLICE] for start in (len(data) // 3, 2 * len(data) // 3))


def malformed(what: str) -> NoReturn:
    """Raise the UserError that says that bytes are not what `encode` wrote."""
    raise UserError(f"encoded model: {what}; the bytes are damaged or not an encoded model, encode the model again")


class Reader:
    """Reads streams and numbers in order from untrusted bytes. Every method raises UserError on malformed bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes as they are."""
        piece = self._data[self._position : self._position + count]
        if len(piece) != count:
            malformed(f"{count - len(piece)} bytes are missing at the end")
        self._position += count
        return piece

    def number(self) -> int:
        """The next whole number written by `pack_number`, below 2**63."""
        value = 0
        for shift in range(0, 63, 7):
            digit = self.take(1)[0]
            value |= (digit & 0x7F) << shift
            if digit < 0x80:
                return value
        malformed("a length is out of range")

    def stream(self, size: int) -> bytes:
        """The next stream, which must hold exactly `size` bytes once unpacked."""
        code = self.take(1)[0]
        stored = self.take(self.number())
        if code >= len(_CODECS):
            malformed(f"codec {code} is not known to this version")
        try:
            data, ended = _CODECS[code].expand(stored, size + 1)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
            malformed(f"a stream cannot be unpacked ({error})")
        if len(data) != size or not ended:
            malformed(f"a stream does not hold the {size} bytes expected")
        return data

    def end(self) -> None:
        """Check that nothing is left."""
        if self._position != len(self._data):
            malformed(f"{len(self._data) - self._position} bytes too many")
