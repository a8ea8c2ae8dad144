"""Reading a `.keras` file (Keras 3's zip of JSON and HDF5) without Keras, and without trusting it."""

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prune_core.errors import UserError

# A file of standard layers holds these and nothing else; assets belong to lookup tables and custom code.
_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 64 * 2**20
# Keras stores members uncompressed; far more than that is a decompression bomb.
_MAX_EXPANSION = 100
# Largest number of channels, or of elements of a sample, of a normalisation whose statistics are read.
_MAX_STATISTICS = 2**22
# What zipfile and json raise on damaged bytes; a RecursionError is a RuntimeError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True)
class KerasArchive:
    """The contents of a `.keras` file.

    Attributes:
        path: where it lies.
        config: the serialised model, `{"class_name": ..., "config": ...}`.
        parameters: number of weights stored, without those of an optimiser and of random generators.
        sha256: digest of the file.
        sizes: {path in the weights file: number of values there}.
        statistics: {layer name: (mean, variance)} of normalisations, averages over all channels; not of layers of
            which several have one name.
    """

    path: Path
    config: dict[str, Any]
    parameters: int
    sha256: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    statistics: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def read_archive(path: Path) -> KerasArchive:
    """Read a `.keras` file, and check that it is whole and well-formed and has no unexpected members.

    Raises:
        UserError: no such file, another format, damaged, or with members that a network of standard layers does not
            have.
    """
    content = _read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(path, archive)
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
    except UserError:
        raise
    except _DAMAGE:
        raise UserError(f"{path} is damaged or was never a .keras file: save the model again") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no model: save the model again")
    sizes, statistics = _weigh(path, weights)
    return KerasArchive(path, config, sum(sizes.values()), hashlib.sha256(content).hexdigest(), sizes, statistics)


def read_config(path: Path) -> dict[str, Any]:
    """Only the serialised model of a file that has been checked before."""
    with zipfile.ZipFile(path) as archive:
        config: dict[str, Any] = json.loads(archive.read("config.json"))
    return config


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f'{path} is a folder: save the model as one file with model.save("{path.name}.keras")')
    if path.exists() and not path.is_file():  # a device or a pipe has no end
        raise UserError(f"{path} is not a file: give the path of a .keras file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give the path of a .keras file") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise UserError(f"{path} cannot be read ({error}): give the path of a .keras file") from None
    if content.startswith(b"\x89HDF") or path.suffix in (".h5", ".hdf5"):
        raise UserError(
            f"{path} is in the legacy HDF5 format: load it with Keras and save it again, "
            f'model.save("{path.stem}.keras")'
        )
    if path.suffix != ".keras":
        raise UserError(f"{path} does not end in .keras: give a file saved with model.save(...keras)")
    return content


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()) or not {"config.json", "model.weights.h5"} <= set(members):
        raise UserError(f"{path} lacks config.json or model.weights.h5, or has them twice: save the model again")
    if extra := sorted(set(members) - _MEMBERS):
        raise UserError(f"{path} holds {extra[0]!r}: only networks of Keras's own layers, without assets, are accepted")
    for info in members.values():
        if info.file_size > _MAX_EXPANSION * max(info.compress_size, 1):
            raise UserError(f"{path} unpacks to more than {_MAX_EXPANSION} times its size: save the model again")
    if members["config.json"].file_size > _MAX_CONFIG_BYTES:
        raise UserError(f"{path} has a config.json above {_MAX_CONFIG_BYTES} bytes: it is not an ordinary network")


def _weigh(path: Path, weights: bytes) -> tuple[dict[str, int], dict[str, tuple[float, float]]]:
    """How many numbers each path of the weights file holds, and its statistics. Links to other files are refused."""
    import h5py

    sizes: dict[str, int] = {}
    found: list[tuple[str, tuple[float, float]]] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Group):
            for key in item:
                if not isinstance(item.get(key, getlink=True), h5py.HardLink):
                    raise UserError(f"{path} links to data outside itself: save the model again")
            found.extend(_statistics(name, item))
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise UserError(f"{path} keeps weights outside itself: save the model again")
            if not name.startswith("optimizer/") and "seed_generator" not in name:
                sizes[name] = int(item.size)

    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            visit("", file)
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError, TypeError):
        raise UserError(f"{path} has damaged weights: save the model again") from None
    names = [name for name, _ in found]
    return sizes, {name: values for name, values in found if names.count(name) == 1}


def _statistics(path: str, group: Any) -> list[tuple[str, tuple[float, float]]]:
    """[(layer name, (mean, variance))] if a group holds the weights of a normalisation, else nothing."""
    kind = re.fullmatch(r"(?:.*/)?(batch_)?normalization(?:_\d+)?/vars", path)
    if kind is None:
        return []
    with suppress(Exception):  # a file may hold anything; what cannot be read is ignored
        arrays = [group[str(number)] for number in range(len(group))]
        if any(array.external or array.is_virtual or array.size > _MAX_STATISTICS for array in arrays):
            return []
        # Normalization keeps mean, variance and count; BatchNormalization what is learnt, then mean and variance.
        mean, variance = arrays[-2:] if kind[1] else arrays[:2]
        return [(str(group.attrs["name"]), (float(mean[()].mean()), float(variance[()].mean())))]
    return []
