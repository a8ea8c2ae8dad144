"""Files of masks, `{weight path: bool array, True = kept}`. NumPy only: reading masks needs no TensorFlow."""

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prune_core.errors import UserError
from prune_core.files import write_atomically

_VERSION = 1
_MAX_INDEX_BYTES = 1 << 26
_NPY_HEADER_BYTES = 256
# All that zipfile, zlib, json and NumPy raise on damaged members, claims of absurd sizes included.
_DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RecursionError, MemoryError, OverflowError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)


def save_masks(path: str | os.PathLike[str], masks: Mapping[str, np.ndarray]) -> None:
    """Write masks as one `.npz` of packed bits. Atomic: no reader ever sees half a file.

    The member `index` is JSON (weight paths and shapes); `mask_0`, `mask_1`, ... are the bits, eight a byte, the first
    in the highest bit. (Weight paths hold "/", which does not suit the name of a member.)

    Raises:
        UserError: a mask that is not of bools, or a folder that does not exist.
    """
    if not isinstance(masks, Mapping):
        raise UserError(
            f"a {type(masks).__name__} is not a mapping of masks: "
            "give {weight path: bool array}, such as result.masks"
        )
    entries: list[dict[str, Any]] = []
    members: dict[str, np.ndarray] = {}
    for number, (weight, mask) in enumerate(masks.items()):
        array = np.asarray(mask)
        if array.dtype != bool:
            raise UserError(f"mask of {weight!r} has dtype {array.dtype}: masks are bool arrays, True = kept")
        entries.append({"path": weight, "shape": array.shape})
        members[f"mask_{number}"] = np.packbits(array)
    members["index"] = np.frombuffer(json.dumps({"version": _VERSION, "masks": entries}).encode(), np.uint8)
    target = Path(path)
    if not target.parent.is_dir():
        raise UserError(f"folder {os.fspath(target.parent)!r} of the masks file does not exist: make it first")
    write_atomically(target, lambda file: np.savez_compressed(file, allow_pickle=False, **members))


def load_masks(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """{weight path: bool array} as it was given to `save_masks`. Safe on files of unknown origin.

    Raises:
        UserError: no such file, or not a file of masks.
    """
    try:
        if Path(path).is_file() and not zipfile.is_zipfile(path):  # NumPy would speak of pickles
            raise ValueError("it is not a zip file")
        with np.load(path, allow_pickle=False) as members:
            return _unpack(members)
    except FileNotFoundError:
        raise UserError(f"masks file {os.fspath(path)!r} does not exist") from None
    except _DAMAGE as error:
        raise UserError(f"{os.fspath(path)!r} is not a file of masks or is damaged: {error}") from error


def _unpack(members: Any) -> dict[str, np.ndarray]:
    index = json.loads(_member(members, "index", _MAX_INDEX_BYTES).tobytes())
    if index["version"] != _VERSION:
        raise ValueError(f"its version is {index['version']}, only {_VERSION} is known")
    masks: dict[str, np.ndarray] = {}
    for number, entry in enumerate(index["masks"]):
        weight, shape = entry["path"], tuple(entry["shape"])
        if not isinstance(weight, str) or weight in masks or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"entry {number} of its index is wrong")
        count = math.prod(shape)
        packed = _member(members, f"mask_{number}", (count + 7) // 8)
        if packed.size != (count + 7) // 8:
            raise ValueError(f"mask of {weight!r} does not have the {count} bits of its shape")
        masks[weight] = np.unpackbits(packed, count=count).astype(bool).reshape(shape)
    return masks


def _member(members: Any, name: str, most_bytes: int) -> np.ndarray:
    """A flat array of bytes, refused unread if it would unpack to more than `most_bytes`."""
    if members.zip.getinfo(f"{name}.npy").file_size > most_bytes + _NPY_HEADER_BYTES:
        raise ValueError(f"member {name!r} is too large")
    array: np.ndarray = members[name]
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError(f"member {name!r} is not a run of bytes")
    return array
