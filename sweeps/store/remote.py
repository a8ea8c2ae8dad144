"""The place that all nodes of a cluster reach (`storage.uri`): files by name, in a shared folder or an object store.

A file is either complete or absent: an object store shows an object when it is complete, and in a folder the file is
renamed into place. A file that is replaced while it is read is read again. Arrow finds the credentials, in the
environment and in the files of the store's own tools.
"""

import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from prune_core.errors import UserError
from prune_core.files import make_folder, remove_partial, write_atomically
from sweeps.store.full_disk import reason as no_room_because

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
PROBES = "probes"
_BLOCK = 4 * 1024**2
_ARROW_OPTIONS = {
    "s3": "allow_delayed_open=true",  # one request for a small file, not three
    "gs": "retry_limit_seconds=10",  # not a quarter of an hour: what fails is tried again here
}


class StorageAway(Exception):
    """`storage.uri` does not answer, or refuses: a fault of the infrastructure, not of the work."""


class StorageFull(StorageAway):
    """`storage.uri` takes no more files: waiting does not help, a person has to make room."""


@dataclass(frozen=True)
class Remote:
    """Files at an address, by names like "results/a.zip". Every method raises StorageAway when its patience ends.

    It holds no credentials and no connection: each process that receives it opens the address with its own.

    Attributes:
        uri: folder, file://, s3:// or gs://.
        patience_s: for how many seconds a call that fails is tried again.
    """

    uri: str
    patience_s: float = 10.0

    def check(self) -> None:
        """Write, list, read and remove a file. Raises UserError if that cannot be done now."""
        impatient = replace(self, patience_s=0)
        try:
            with impatient.probe() as name, tempfile.TemporaryDirectory() as folder:
                if Path(name).name not in impatient.names(PROBES) or not impatient.get(name, Path(folder, "probe")):
                    raise StorageAway(f"storage.uri={self.uri} does not give back what was put there")
        except StorageAway as error:
            raise UserError(f"{error}: correct it, or give the credentials of the store in the environment") from None

    def names(self, folder: str) -> frozenset[str]:
        """Names of the files in a folder; empty if it does not exist."""
        from pyarrow.fs import FileSelector

        def attempt(system: "FileSystem", root: str) -> frozenset[str]:
            found = system.get_file_info(FileSelector(f"{root}/{folder}", allow_not_found=True))
            return frozenset(info.base_name for info in found if info.is_file and not info.base_name.startswith("."))

        return self._patiently(attempt)

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self._patiently(lambda system, root: system.get_file_info(f"{root}/{name}").is_file)

    def put(self, file: Path, name: str) -> None:
        """Copy a file there, in place of what was there."""
        self._patiently(lambda system, root: _put(system, file, f"{root}/{name}"))

    def get(self, name: str, file: Path) -> bool:
        """Copy a file from there; False if it is not there."""

        def attempt(system: "FileSystem", root: str) -> bool:
            try:
                source = system.open_input_stream(f"{root}/{name}")
            except FileNotFoundError:
                return False
            with source, file.open("wb") as target:
                version = source.metadata()
                shutil.copyfileobj(source, target, _BLOCK)
            if file.stat().st_size > _BLOCK:  # read in several requests, perhaps of several versions
                with system.open_input_stream(f"{root}/{name}") as now:
                    if now.metadata() != version:
                        raise OSError(f"{name} was replaced while it was read")
            return True

        return self._patiently(attempt)

    def move(self, name: str, to: str) -> None:
        """Rename a file; does nothing if somebody else has done so."""

        def attempt(system: "FileSystem", root: str) -> None:
            system.create_dir(os.path.dirname(f"{root}/{to}"), recursive=True)
            with suppress(FileNotFoundError):
                system.move(f"{root}/{name}", f"{root}/{to}")

        self._patiently(attempt)

    def remove(self, name: str) -> None:
        """Remove a file; does nothing if it is not there."""

        def attempt(system: "FileSystem", root: str) -> None:
            with suppress(FileNotFoundError):
                system.delete_file(f"{root}/{name}")

        self._patiently(attempt)

    def tidy(self) -> None:
        """Remove what killed writers left in a shared folder; an object store shows no such files."""
        from pyarrow.fs import LocalFileSystem

        def attempt(system: "FileSystem", root: str) -> None:
            if isinstance(system, LocalFileSystem):
                for folder in Path(root).glob("*/"):
                    remove_partial(folder)

        self._patiently(attempt)

    @contextmanager
    def probe(self) -> Iterator[str]:
        """The name of an empty file that is there while entered: a node that sees it looks at the same place."""
        name = f"{PROBES}/{secrets.token_hex(8)}"
        with tempfile.NamedTemporaryFile() as empty:
            self.put(Path(empty.name), name)
        try:
            yield name
        finally:
            try:
                self.remove(name)
            except StorageAway as error:  # results can be kept there even without the right to remove files
                log.debug("%s stays: %s", name, error)

    def _patiently(self, attempt: Callable[["FileSystem", str], T]) -> T:
        from pyarrow.lib import ArrowException

        deadline, pause = time.monotonic() + self.patience_s, FIRST_PAUSE_S
        while True:
            try:
                return attempt(*_opened(self.uri))
            except (OSError, ArrowException) as error:
                if full := no_room_because(error):
                    raise StorageFull(
                        f"storage.uri={self.uri} takes no more files ({full}): make room there and run the same "
                        "command again"
                    ) from error
                if time.monotonic() + pause > deadline:
                    raise StorageAway(f"storage.uri={self.uri} cannot be used ({_reason(error)})") from error
                log.debug("storage.uri is away: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


@cache
def _opened(uri: str) -> tuple["FileSystem", str]:
    """The file system of an address, and the path in it."""
    from pyarrow.fs import FileSystem

    option = _ARROW_OPTIONS.get(urlsplit(uri).scheme)
    if option:
        uri += f"{'&' if '?' in uri else '?'}{option}"
    system, root = FileSystem.from_uri(uri)
    return system, root.rstrip("/")


def _put(system: "FileSystem", file: Path, place: str) -> None:
    from pyarrow.fs import LocalFileSystem

    if isinstance(system, LocalFileSystem):
        _put_in_folder(file, Path(place))
        return
    with file.open("rb") as source, system.open_output_stream(place) as target:
        shutil.copyfileobj(source, target, _BLOCK)


def _put_in_folder(file: Path, place: Path) -> None:
    make_folder(place.parent)
    with file.open("rb") as source:
        write_atomically(place, lambda target: shutil.copyfileobj(source, target, _BLOCK))


def _reason(error: Exception) -> str:
    """What a person needs to know about an error of Arrow."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip().partition("\n")[0]
    cause = re.search(r"AWS Error (.*?)(?:; Details:|\. Check|\(Request ID|$)", text)
    return (cause[1] if cause else text).strip(" .")
