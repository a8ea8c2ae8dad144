"""The stored size of a network whose zeros stay in place: the dense one under a trial's masks. No TensorFlow."""

import io
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from prune_core.codec.arrays import encode_array

_WEIGHTS = "model.weights.h5"


def masked_bytes(network: Path, dense_bytes: float, masks: Mapping[str, np.ndarray]) -> float | None:
    """Bytes that must be stored of a dense network whose masked weights are zero.

    Args:
        network: the dense network as Keras saved it, *.keras.
        dense_bytes: what it takes itself (`size_bytes`).
        masks: {weight path: bool array}, True = kept.

    Returns:
        The same number that `prune_core.codec.size_bytes` gives for the masked network; None if the file is missing, or
        a masked weight is not in it under the name of its layer.
    """
    if not network.is_file():
        return None
    stored = _weights_of(network)
    change = 0
    for path, mask in masks.items():
        layer = path.rpartition("/")[0]
        found = next(((array, size) for array, size in stored.get(layer, ()) if array.shape == mask.shape), None)
        if found is None:
            return None
        array, size = found
        if not mask.all():
            change += len(encode_array(np.where(mask, array, 0).astype(array.dtype))) - size
    return dense_bytes + change


@lru_cache(maxsize=1)  # trials of one network come one after the other
def _weights_of(network: Path) -> dict[str, list[tuple[np.ndarray, int]]]:
    """{layer: [(array, its stored bytes), ...]}; Keras notes each layer's name beside its arrays."""
    import h5py

    found: dict[str, list[tuple[np.ndarray, int]]] = {}

    def note(_: str, entry: object) -> None:
        if isinstance(entry, h5py.Group) and "name" in entry.attrs:
            arrays = [entry[name][()] for name in sorted(entry, key=int)]
            found[str(entry.attrs["name"])] = [(array, len(encode_array(array))) for array in arrays]

    with zipfile.ZipFile(network) as archive, h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r") as file:
        file.visititems(note)
    return found
