"""Files that are whole or absent, even after a power cut: a file gets its name only when its content is on the disk."""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

_SUFFIX = ".part"
_AT_ONCE = 8
_FOLDERS_WITHOUT_SYNC = {errno.EINVAL, errno.ENOTSUP}


def write_atomically(path: Path, content: bytes | str | Callable[[IO[bytes]], object]) -> None:
    """Write a file, in place of the old one if there is one. A reader finds the old one or the new one at any time.

    Args:
        path: in a folder that exists.
        content: what the file will hold (text in UTF-8), or a function that writes it into an open file.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    partial, descriptor = _new_partial(path)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(descriptor)
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, which is made if need be; when this returns it is on the disk."""
    new = not path.exists()
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)


def remove_partial(folder: Path) -> None:
    """Remove what `write_atomically` left in a folder when its process was killed; what is being written stays."""
    for partial in folder.glob(f".*{_SUFFIX}"):
        with suppress(OSError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while its writer lives
            partial.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; when this returns they are on the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)


def sync_tree(folder: Path) -> None:
    """Wait until all files and folders in a folder, and it itself, are on the disk."""
    files, folders = [], []
    for place, _, names in os.walk(folder):
        folders.append(Path(place))
        files += [Path(place, name) for name in names]
    sync_files(files)
    for inner in reversed(folders):
        sync_folder(inner)


def sync_files(files: Iterable[Path]) -> None:
    """Wait until the content of files is on the disk; all at once, so that they share the disk's waits."""
    files = [file for file in files if stat.S_ISREG(file.lstat().st_mode)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(_sync, files))


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: what was made, renamed and removed there."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _FOLDERS_WITHOUT_SYNC:
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_partial(path: Path) -> tuple[Path, int]:
    """A file beside `path` and its descriptor; locked for as long as its writer lives, if the file system has locks."""
    while True:
        partial = path.with_name(f".{path.name.removeprefix('.')}.{secrets.token_hex(4)}{_SUFFIX}")
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if not _held_by_another(descriptor) and os.fstat(descriptor).st_nlink:
            return partial, descriptor
        os.close(descriptor)  # `remove_partial` came between our two calls


def _held_by_another(descriptor: int) -> bool:
    """Lock a file, if the file system has locks; returns whether another process holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
