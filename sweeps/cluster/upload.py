"""What goes to a Ray cluster with a sweep: the code, the configuration, and the files that its settings name."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from prune_core.errors import UserError
from sweeps.cluster.base import Submission
from sweeps.config import conf_folder
from sweeps.tracking import ORIGIN, origin

MIB = 1024**2
LIMIT = 100 * MIB
"""A Ray head takes uploads of fewer bytes; it refuses a larger one only after all of it was sent."""
_CODE = Path(__file__).resolve().parent.parent.parent
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive knows


@dataclass(frozen=True)
class Upload:
    """Files under the names that they have in the job's folder.

    Attributes:
        files: {path there: file here, or what is in it}.
    """

    files: Mapping[str, Path | bytes]

    def write(self, archive: Path) -> None:
        """Pack the files; equal files give equal bytes. Raises UserError if it is more than a cluster takes."""
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
            for name, file in sorted(self.files.items()):
                content = file if isinstance(file, bytes) else file.read_bytes()
                package.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        size = archive.stat().st_size
        if size >= LIMIT:
            raise UserError(
                f"the upload has {size / MIB:.0f} MiB, the cluster takes less than {LIMIT // MIB} ({self._biggest()}): "
                "put them under the same path on all its machines and set compute.ray_jobs.upload_inputs=false"
            )

    def _biggest(self) -> str:
        paths = [file for file in self.files.values() if isinstance(file, Path)]
        sizes = sorted(((path.stat().st_size, path) for path in paths), reverse=True)
        return ", ".join(f"{path} {size / MIB:.0f}" for size, path in sizes[:3] if size > MIB)


def pack(submission: Submission, with_inputs: bool, requirements: Sequence[str] = ()) -> tuple[Submission, Upload]:
    """What to upload, and the submission with overrides that say where the files lie in the job's folder.

    Args:
        submission: the sweep.
        with_inputs: whether to add the files that `datasets.*.path` and `models.*.path` name.
        requirements: lock files to add, from the folder of the checkout.

    Raises:
        UserError: a file is not there.
    """
    files: dict[str, Path | bytes] = {ORIGIN: origin().encode(), **dict(_code())}
    files |= {name: _existing(_CODE / name, "compute.ray_jobs.runtime=lock") for name in requirements}
    overrides = []
    for override in submission.overrides:
        moved, of_search_path = _search_path(override)
        overrides.append(moved)
        files |= of_search_path
    if with_inputs:
        for key, path in _inputs(submission):
            there = f"inputs/{key}{path.suffix}"
            files[there] = _existing(path, key)
            overrides.append(f"{key}='{there}'")
    return replace(submission, overrides=tuple(overrides)), Upload(files)


def _code() -> Iterator[tuple[str, Path]]:
    for folder in ("sweeps", "prune_core"):
        for file in (_CODE / folder).rglob("*.py"):
            yield file.relative_to(_CODE).as_posix(), file
    conf = conf_folder()
    for file in conf.rglob("*.yaml"):
        yield f"conf/{file.relative_to(conf).as_posix()}", file


def _inputs(submission: Submission) -> Iterator[tuple[str, Path]]:
    settings = submission.settings
    for group, sections in (("datasets", settings.datasets), ("models", settings.models)):
        for name, section in sections.items():
            if section.get("path"):
                yield f"{group}.{name}.path", Path(section["path"])


def _search_path(override: str) -> tuple[str, dict[str, Path]]:
    """The override and no files, unless it is `hydra.searchpath`: then also the files of its folders."""
    parsed = OverridesParser.create().parse_override(override)
    if parsed.key_or_group != "hydra.searchpath":
        return override, {}
    value = parsed.value()
    places: list[str] = []
    files: dict[str, Path] = {}
    for number, place in enumerate(value if isinstance(value, list) else [value]):
        scheme, _, path = str(place).rpartition("://")
        if scheme in ("", "file"):
            folder = Path(path)
            here = {f"searchpath/{number}/{f.relative_to(folder).as_posix()}": f for f in folder.rglob("*.yaml")}
            files |= here
            place = f"file://searchpath/{number}"
        places.append(f"'{place}'")
    return f"hydra.searchpath=[{','.join(places)}]", files


def _existing(path: Path, key: str) -> Path:
    if not path.is_file():
        raise UserError(f"{key}: {path} is not a file here")
    return path
