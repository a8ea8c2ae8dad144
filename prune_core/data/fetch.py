"""The cache of fetched files: each is checked by its sha256, fetched once, and written whole or not at all."""

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from prune_core.data.sources import SOURCES, UNREACHABLE, FileRequest, Source, WantedFile, plain_or_gz, read_plain_or_gz
from prune_core.errors import UserError
from prune_core.files import make_folder, remove_partial, write_atomically
from prune_core.settings import Settings

log = logging.getLogger(__name__)

# Long enough for another process to fetch the largest set over a slow line.
LOCK_TIMEOUT_S = 1800


def check_sources(settings: Settings) -> None:
    """Raise UserError if the dataset's `sources` are malformed or of an unknown kind."""
    for _ in _sources(settings):
        pass


def obtain(settings: Settings, files: Sequence[WantedFile], folder: Path) -> dict[str, bytes]:
    """The decompressed bytes of a dataset's files, from the cache or from the first source that has them.

    The cache takes plain files and `.gz`, so that files can also be put there by hand. One with a wrong checksum is
    renamed to `<file>.damaged` and fetched again. Only one process fetches, however many ask at once.

    Args:
        settings: the dataset's configuration, with its ordered `sources`.
        files: the files wanted.
        folder: the dataset's own cache folder; created if need be.

    Returns:
        {file name: bytes}, complete.

    Raises:
        UserError: the files are not in the cache and no source delivers them, or the cache cannot be written.
    """
    cached, _ = _read_cache(folder, files)
    if len(cached) == len(files):
        return cached
    try:
        make_folder(folder)
        with FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_S):
            remove_partial(folder)
            return _fill_cache(settings, files, folder)
    except Timeout as error:
        raise UserError(f"{folder} is locked by another process that has been fetching for too long: end it") from error
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{folder} cannot keep the files of {settings.where} ({reason}): choose another cache"
        ) from error


def _fill_cache(settings: Settings, files: Sequence[WantedFile], folder: Path) -> dict[str, bytes]:
    """What `obtain` does while it holds the lock."""
    found, damaged = _read_cache(folder, files)
    while damaged:  # a damaged plain file may hide a sound .gz
        for path in damaged:
            log.warning("%s has a wrong checksum or is damaged: set aside as %s.damaged, not used", path, path.name)
            os.replace(path, path.with_name(f"{path.name}.damaged"))
        found, damaged = _read_cache(folder, files)
    tried = []
    for label, source, options in _sources(settings):
        missing = tuple(file for file in files if file.name not in found)
        if not missing:
            break
        log.info("fetching %s from %s", ", ".join(file.name for file in missing), label)
        try:
            delivered = source(FileRequest(missing, options))
        except UserError:
            raise  # a mistake in the source's own entry, not a source out of reach
        except UNREACHABLE as error:
            tried.append(f"{label}: {_short(error)}")
            continue
        good = {file.name: delivered[file.name] for file in missing if _is(file, delivered.get(file.name))}
        for name, data in good.items():
            write_atomically(folder / name, data)
        found |= good
        if len(good) < len(missing):
            tried.append(f"{label}: {_shortfall(missing, delivered)}")
    missing_names = [file.name for file in files if file.name not in found]
    if missing_names:
        raise UserError(
            f"{settings.where}: {', '.join(missing_names)} not found in {folder} nor in any of its sources "
            f"({'; '.join(tried) or 'none is configured'}): put the file(s), plain or as .gz, into {folder} by hand"
        )
    return found


def _sources(settings: Settings) -> Iterable[tuple[str, Source, Settings]]:
    """(label, function, options) of each source in the configured order; an entry set to null is left out."""
    sources = settings.section("sources")
    for label, options in sources.values.items():
        if options is not None:
            entry = sources.section(label)
            yield label, entry.entry("kind", SOURCES), entry


def _read_cache(folder: Path, files: Iterable[WantedFile]) -> tuple[dict[str, bytes], list[Path]]:
    """({file name: bytes} of the good files, paths of the damaged ones)."""
    good: dict[str, bytes] = {}
    damaged: list[Path] = []
    for file in files:
        path = plain_or_gz(folder, file.name)
        if path is None:
            continue
        try:
            data = read_plain_or_gz(path)
        except UNREACHABLE:
            data = b""
        if _is(file, data):
            good[file.name] = data
        else:
            damaged.append(path)
    return good, damaged


def _is(file: WantedFile, data: Any) -> bool:
    return isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == file.sha256


def _shortfall(missing: Sequence[WantedFile], delivered: dict[str, bytes]) -> str:
    absent = [file.name for file in missing if file.name not in delivered]
    return f"has no {', '.join(absent)}" if absent else "delivers files with another sha256"


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."
