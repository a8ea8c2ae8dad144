"""MNIST's file format (IDX), read and written.

Layout of an IDX file (Y. LeCun, "The MNIST database"): two zero bytes, one byte for the type of the values (8: unsigned
byte), one for the number of dimensions, each dimension as a big-endian 32-bit number, then the values in C order.
"""

import struct

import numpy as np

_UNSIGNED_BYTE = 8


def parse_idx(data: bytes) -> np.ndarray:
    """The array in an IDX file of unsigned bytes; read-only, uint8.

    Raises:
        ValueError: not such a file, or its length is not what its header says.
    """
    if len(data) < 4 or data[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
        raise ValueError("not an IDX file of unsigned bytes")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise ValueError("IDX header is cut off")
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    values = np.frombuffer(data, np.uint8, offset=header)
    expected = int(np.prod(shape, dtype=object))
    if values.size != expected:
        raise ValueError(f"IDX header announces {expected} values of shape {shape}, there are {values.size}")
    return values.reshape(shape)


def to_idx(array: np.ndarray) -> bytes:
    """The IDX file of a uint8 array; `parse_idx` undoes it.

    Raises:
        ValueError: another type of values.
    """
    if array.dtype != np.uint8:
        raise ValueError(f"values are {array.dtype}, not uint8")
    return struct.pack(f">2xBB{array.ndim}I", _UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()
