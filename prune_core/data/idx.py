"""Datasets in MNIST's file format (IDX): two files of images, two of labels, each with its checksum."""

from pathlib import Path

import numpy as np

from prune_core.data.base import Contents, Loader, RawArrays
from prune_core.data.fetch import check_sources, obtain
from prune_core.data.idx_format import parse_idx
from prune_core.data.sources import WantedFile
from prune_core.data.values import Scaling, is_kept
from prune_core.errors import UserError
from prune_core.settings import Settings

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def _describe(settings: Settings) -> Contents:
    check_sources(settings)
    samples = settings.section("samples")
    samples.refuse_unknown({"train", "test"})
    kept = is_kept(settings)
    identity = {"files": {file.array: file.sha256 for file in _files(settings)}}
    return Contents(
        input_shape=settings.shape("input_shape"),
        classes=settings.count("classes", least=2),
        train=samples.count("train"),
        test=samples.count("test"),
        identity={**identity, "scale": "none"} if kept else identity,
        scaling=None if kept else Scaling(settings.path("scale"), "pixel", 255),
    )


def _files(settings: Settings) -> list[WantedFile]:
    files = settings.section("files")
    files.refuse_unknown(ARRAYS)
    wanted = []
    for array in ARRAYS:
        entry = files.section(array)
        entry.refuse_unknown({"name", "sha256"})
        name = entry.text("name")
        if Path(name).name != name or name.startswith("."):
            raise UserError(f"{entry.path('name')}={name!r} must be a plain file name")
        wanted.append(WantedFile(array, name, entry.sha256("sha256")))
    return wanted


def _load(settings: Settings, folder: Path) -> RawArrays:
    files, contents = _files(settings), _describe(settings)
    payloads = obtain(settings, files, folder)
    arrays = {}
    for file in files:
        try:
            arrays[file.array] = parse_idx(payloads[file.name])
        except ValueError as error:
            raise UserError(f"{settings.path('files')}.{file.array}: {file.name} cannot be read: {error}") from error
    for split, declared in (("train", contents.train), ("test", contents.test)):
        found = arrays[f"x_{split}"].shape[:1]
        if found != (declared,):
            raise UserError(f"{settings.path('samples')}.{split}={declared}, but the file holds {found}: correct it")
    return RawArrays(
        x_train=_pixels(settings, arrays["x_train"], contents.input_shape),
        y_train=arrays["y_train"],
        x_test=_pixels(settings, arrays["x_test"], contents.input_shape),
        y_test=arrays["y_test"],
    )


def _pixels(settings: Settings, images: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    if images.shape[1:] not in (input_shape, input_shape[:-1]):
        raise UserError(
            f"{settings.path('input_shape')}={list(input_shape)}, but the files hold images of "
            f"{'x'.join(map(str, images.shape[1:]))}: correct it"
        )
    pixels = images.reshape(-1, *input_shape).astype(np.float32)
    return pixels if is_kept(settings) else pixels / np.float32(255)


KEYS = frozenset({"input_shape", "classes", "samples", "files", "sources", "scale"})
IDX = Loader(KEYS, _describe, _load)
