"""Read untrusted npz files: headers are read without the data, and pickles are never loaded."""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

_MALFORMED = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile, the decompressors and NumPy's header parser raise on arbitrary bytes."""


class MalformedNpz(ValueError):
    """The file is not an npz file, is cut off, or is damaged; the message is a short clause."""


@dataclass(frozen=True)
class Header:
    """The header of one array in an npz file.

    Attributes:
        shape: its shape.
        dtype: its type; `dtype.hasobject` is true for arrays that could only be unpickled.
        nbytes: bytes of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int


class NpzArchive:
    """The arrays of an npz file, by name.

    Args:
        file: path, or a seekable binary file.

    Attributes:
        headers: {array name: header}, read without the values.

    Raises:
        MalformedNpz: on construction and by `read`.
    """

    def __init__(self, file: Path | IO[bytes]) -> None:
        self._file = file
        try:
            with zipfile.ZipFile(file) as archive:
                self.headers = {
                    info.filename.removesuffix(".npy"): self._header(archive, info)
                    for info in archive.infolist()
                    if info.filename.endswith(".npy")
                }
        except _MALFORMED as error:
            raise MalformedNpz(f"not a readable npz file: {_short(error)}") from error

    def read(self, name: str) -> np.ndarray:
        """The array called `name`, which has to be in `headers`; checked against the archive's CRC."""
        try:
            with zipfile.ZipFile(self._file) as archive, archive.open(f"{name}.npy") as member:
                array = npy.read_array(member, allow_pickle=False)
                if member.read(1):
                    raise ValueError("more values than its header announces")
        except _MALFORMED as error:
            raise MalformedNpz(f"{name} is not readable: {_short(error)}") from error
        return array

    @staticmethod
    def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
        with archive.open(info) as member:
            version = npy.read_magic(member)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"{info.filename} has npy format {version}")
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(member)
            header = Header(shape, dtype, math.prod(shape) * dtype.itemsize)
            # A header that promises more than the archive holds would have memory reserved for it.
            if not dtype.hasobject and (min(shape, default=0) < 0 or info.file_size != member.tell() + header.nbytes):
                raise ValueError(f"{info.filename} is not as long as its header says")
            return header


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else f"{text[:97]}..."
