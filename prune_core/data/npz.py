"""The user's own arrays, in an npz file as `numpy.savez` writes it.

The file holds `x_train` and `y_train`, and also `x_test` and `y_test` unless a test split is to be cut. `keys` says
what they are called there.

- x: numbers, (samples, features), (samples, height, width) or (samples, height, width, channels); finite. Samples of
  two axes get a third of length 1, which a network that takes two loses again (`prune_core.data.fit`).
- y: class indices 0 ... classes - 1, (samples,) or a column of them, or one-hot rows, (samples, classes), in any type
  of numbers (`prune_core.tasks.labels`); every class is in `y_train`.

`scale` says how x becomes float32:

| scale | meaning                                                                                             |
|-------|-----------------------------------------------------------------------------------------------------|
| auto  | uint8 is divided by 255; floats and booleans stay as they are; other integers are unclear. For a    |
|       | network that takes numbers as they are, all types stay (`prune_core.data.values`)                   |
| "255" | divided by 255, whatever the type                                                                   |
| none  | stays as it is                                                                                      |
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prune_core.data.api import check_labels
from prune_core.data.base import Contents, Loader, RawArrays
from prune_core.data.npz_archive import Header, MalformedNpz, NpzArchive
from prune_core.data.values import Scaling
from prune_core.errors import UserError
from prune_core.registry import closest
from prune_core.settings import Settings
from prune_core.tasks import Labels, check_layout, class_indices

ROLES = ("x_train", "y_train", "x_test", "y_test")
SCALES = ("auto", "255", "none")

# Arrays up to this size are checked for NaN while planning, larger ones when they are loaded.
MAX_PLAN_BYTES = 200_000_000


@dataclass(frozen=True)
class _File:
    """A user's npz file whose names, shapes, types and labels have been checked.

    Attributes:
        key: configuration key and file, for messages.
        names: {role: name of the array in the file}; without x_test and y_test if there is no test split.
        labels: {role: labels} of y_train and, if there is one, y_test.
    """

    key: str
    archive: NpzArchive
    scale: str
    names: Mapping[str, str]
    labels: Mapping[str, Labels]
    sha256: str

    @property
    def classes(self) -> int:
        return max(max(1 + int(y.indices.max()), y.columns or 0) for y in self.labels.values())

    @property
    def input_shape(self) -> tuple[int, ...]:
        shape = self.header("x_train").shape[1:]
        return (*shape, 1) if len(shape) == 2 else shape

    @property
    def has_test(self) -> bool:
        return "x_test" in self.names

    def header(self, role: str) -> Header:
        return self.archive.headers[self.names[role]]

    def read(self, role: str) -> np.ndarray:
        try:
            return self.archive.read(self.names[role])
        except MalformedNpz as error:
            raise UserError(f"{self.key}: {error}: save it again with numpy.savez") from error

    def features(self, role: str) -> np.ndarray:
        """x as float32, (samples, *input_shape), scaled."""
        values = self.read(role)
        divide = self.scale == "255" or (self.scale == "auto" and values.dtype == np.uint8)
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and is refused as such
            x = values.reshape(len(values), *self.input_shape).astype(np.float32)
        if divide:
            x /= np.float32(255)
        if not np.isfinite(x).all():
            raise UserError(f"{self.key}: {self.names[role]} holds NaN, infinite or overflowing values: replace them")
        return x


def _open(settings: Settings) -> _File:
    """Open the file and check all that can be checked without loading x."""
    if settings.get("path") is None:
        raise UserError(f"{settings.path('path')} is missing: set it to the path of your npz file")
    path = Path(settings.text("path")).expanduser()
    key = f"{settings.path('path')}={path}"
    scale = str(settings.get("scale"))
    if scale not in SCALES:
        raise UserError(f"{settings.path('scale')}={scale!r} is not one of its values: {closest(scale, SCALES)}")
    if not path.is_file():
        raise UserError(f"{key} does not exist or is not a file: correct the path")
    try:
        archive = NpzArchive(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (MalformedNpz, OSError) as error:
        raise UserError(f"{key}: {error}: save it with numpy.savez") from error
    names = _names(settings, key, archive)
    opened = _File(key, archive, scale, names, labels={}, sha256=sha256)
    for split in ("train", "test") if opened.has_test else ("train",):
        _check_features(opened, f"x_{split}")
        x, y = opened.header(f"x_{split}"), opened.header(f"y_{split}")
        check_layout(f"{key}: {names[f'y_{split}']}", y.shape, y.dtype, x.shape[0])
    labels = {role: _labels(opened, role) for role in names if role.startswith("y_")}
    return _File(key, archive, scale, names, labels, sha256)


def _names(settings: Settings, key: str, archive: NpzArchive) -> dict[str, str]:
    """{role: name in the file}; the test split may be absent if the configuration does not name it."""
    keys = settings.section("keys")
    keys.refuse_unknown(ROLES)
    wanted = {role: keys.text(role) for role in ROLES if role.endswith("_train") or keys.get(role) is not None}
    absent = [role for role, name in wanted.items() if name not in archive.headers]
    if absent == ["x_test", "y_test"] and all(wanted[role] == role for role in absent):
        wanted = {role: wanted[role] for role in ("x_train", "y_train")}
        absent = []
    if absent:
        role = absent[0]
        there = ", ".join(sorted(archive.headers)) or "none"
        raise UserError(f"{key} has no array {wanted[role]!r}, it has: {there}: name it with {keys.path(role)}")
    if ("x_test" in wanted) != ("y_test" in wanted):
        raise UserError(f"{keys.where} names only one of x_test and y_test: name both, or set both to null")
    return wanted


def _check_features(file: _File, role: str) -> None:
    header, name = file.header(role), file.names[role]
    if header.dtype.hasobject or header.dtype.kind not in "biuf":
        raise UserError(f"{file.key}: {name} has type {header.dtype}, not numbers: store it as float32 or uint8")
    if len(header.shape) < 2 or 0 in header.shape:
        raise UserError(f"{file.key}: {name} has shape {header.shape}: store it as (samples, features) or as images")
    if header.shape[1:] != file.header("x_train").shape[1:]:
        raise UserError(
            f"{file.key}: {name} has samples of shape {header.shape[1:]}, but {file.names['x_train']} of "
            f"{file.header('x_train').shape[1:]}: store them alike"
        )


def _scaling(file: _File, settings: Settings) -> Scaling | None:
    """What `auto` has to decide; None if `scale` is not `auto`, or if no numbers are integers."""
    features = [role for role in file.names if role.startswith("x_")]
    types = {role: file.header(role).dtype for role in features}
    whole = [role for role, dtype in types.items() if dtype.kind in "iu"]
    if file.scale != "auto" or not whole:
        return None
    problems: dict[str, str] = {}
    for role in whole:
        if types[role] != np.uint8:
            problems["problem"] = (
                f"{file.key}: {file.names[role]} has type {types[role]}: "
                f"set {settings.path('scale')} to 255 for pixels, or to none to keep the numbers"
            )
    if len(whole) < len(features):
        found = " and ".join(f"{file.names[role]} has type {types[role]}" for role in features)
        problems["raw_problem"] = f"{file.key}: {found}: store them alike, or set {settings.path('scale')}"
    return Scaling(settings.path("scale"), str(types[whole[0]]), 255, **problems)


def _labels(file: _File, role: str) -> Labels:
    samples = file.header(role.replace("y", "x", 1)).shape[0]
    return class_indices(f"{file.key}: {file.names[role]}", file.read(role), samples)


def _describe(settings: Settings) -> Contents:
    file = _open(settings)
    if file.classes < 2:
        raise UserError(f"{file.key}: {file.names['y_train']} has one class only: a classifier needs at least 2")
    check_labels(file.key, file.labels["y_train"].indices, file.classes, test_is_cut=not file.has_test)
    features = [role for role in file.names if role.startswith("x_")]
    if sum(file.header(role).nbytes for role in features) <= MAX_PLAN_BYTES:
        for role in features:
            file.features(role)
    return Contents(
        input_shape=file.input_shape,
        classes=file.classes,
        train=len(file.labels["y_train"].indices),
        test=len(file.labels["y_test"].indices) if file.has_test else 0,
        identity={"sha256": file.sha256, "names": dict(file.names), "scale": file.scale},
        scaling=_scaling(file, settings),
        remark=_remark(file),
    )


def _remark(file: _File) -> str:
    one_hot = [file.names[role] for role, y in file.labels.items() if y.columns]
    return f"the one-hot rows of {' and '.join(one_hot)} became the places of their ones" if one_hot else ""


def _load(settings: Settings, folder: Path) -> RawArrays:
    file = _open(settings)
    scaling = _scaling(file, settings)
    if scaling is not None and scaling.problem:
        raise UserError(scaling.problem)
    features = {role: file.features(role) for role in file.names if role.startswith("x_")}
    return RawArrays(**features, **{role: y.indices for role, y in file.labels.items()})


NPZ = Loader(frozenset({"path", "keys", "scale"}), _describe, _load)
