"""Artifacts of MLflow: put together in a folder, written to the disk, compared with what they should be."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from prune_core.files import sync_folder, sync_tree

if TYPE_CHECKING:
    from mlflow.entities import FileInfo

Sizes = Mapping[str, int]
DIGEST = "artifacts.sha256"
"""Tag of a run and of a logged model, see `digest_of`."""
# MLflow makes <its folder>/<id>/artifacts at once.
_FOLDERS_ABOVE = 3


@dataclass(frozen=True)
class Expected:
    """What a run or a logged model should hold.

    Attributes:
        files: {path among the artifacts: the same file on this machine}.
        digests: {path: sha256} of these files.
        texts: paths of texts that were written for MLflow only; `digest` covers their content.
        digest: the tag of the run or model; "" if an earlier version has delivered it.
    """

    files: Mapping[str, Path]
    digests: Mapping[str, str]
    texts: Collection[str]
    digest: str

    def is_in(self, folder: Path) -> bool:
        """Whether a folder holds it, byte for byte."""
        found = _digests_in(folder, [*self.digests, *self.texts])
        if any(found.get(name) != digest for name, digest in self.digests.items()):
            return False
        if self.digest:
            return digest_of(found) == self.digest
        return all(name in found and (folder / name).stat().st_size for name in self.texts)

    def has(self, sizes: Sizes) -> bool:
        """Whether files of these sizes could be the expected ones."""
        same = all(sizes.get(name) == file.stat().st_size for name, file in self.files.items())
        return same and all(sizes.get(name) for name in self.texts)


def sizes_of(listed: "Iterable[FileInfo]") -> Sizes:
    """{path: bytes} of the files that a server lists; in its answers empty files have no size."""
    return {file.path: file.file_size or 0 for file in listed if not file.is_dir}


def digest_of(digests: Mapping[str, str]) -> str:
    """sha256 over the lines "<path> <sha256>" of artifacts, sorted."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def digest_of_text(text: str) -> str:
    """sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _digests_in(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """{name: sha256} of the files that are there and can be read."""
    found = {}
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue
    return found


def folder_at(uri: str) -> Path | None:
    """The folder of this machine that an artifact address stands for; None if it is elsewhere."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(uri)) if urlsplit(uri).scheme in ("", "file") else None


def sync(uri: str) -> None:
    """Wait until the artifacts at an address are on the disk; does nothing if they are not on this machine."""
    folder = folder_at(uri)
    if folder is not None and folder.is_dir():
        sync_tree(folder)
        for parent in list(folder.parents)[:_FOLDERS_ABOVE]:
            sync_folder(parent)


def remove_staged(prefix: str) -> None:
    """Remove the folders of `staged` that killed processes left behind."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def staged(files: Mapping[str, Path], texts: Mapping[str, str], prefix: str) -> Iterator[Path]:
    """A temporary folder with the files under the artifacts' names, so that one call sends them all."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text.encode())
        for path, source in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source.resolve(strict=True), folder / path)
        yield folder
