"""A disk that takes no more files: recognised from an error, told in one sentence. No further work can succeed."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from prune_core.errors import UserError

_LITTLE = 2**30
_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# Libraries in C report it as a text only: HDF5 in an OSError, these in errors of their own.
_IN_WORDS = ("sqlite3", "sqlalchemy", "mlflow", "tensorflow", "pyarrow")
_WORDS = {
    "no space left on device": "No space left on device",
    "disk quota exceeded": "Disk quota exceeded",
    "read-only file system": "Read-only file system",
    "database or disk is full": "No space left on device",
    "attempt to write a readonly database": "Read-only file system",
}


class NoRoom(UserError):
    """A folder that a sweep writes to takes no more files. Neither the work nor another worker can change that."""


def reason(error: BaseException) -> str:
    """What the system says of a full or read-only disk behind this error; "" if it has another cause."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in _ERRNOS and cause.strerror:
            return cause.strerror
        if (isinstance(cause, OSError) or _package(cause) in _IN_WORDS) and (said := told(str(cause))):
            return said
    return ""


def told(text: str) -> str:
    """The same as `reason`, from the text of an error."""
    return next((said for words, said in _WORDS.items() if words in text.lower()), "")


def no_room(error: BaseException, root: Path, key: str) -> NoRoom | None:
    """The error as a sentence if it comes from a disk that takes no more files; else None.

    Args:
        error: of any kind; its causes are looked at as well.
        root: folder of the results. Besides it, a sweep needs only the folder for temporary files: a piece of work that
            fails at a file elsewhere is itself at fault.
        key: the configuration key that names `root`.
    """
    why = reason(error)
    if not why:
        return None
    temporary = Path(tempfile.gettempdir())
    named = next((Path(path) for path in map(_path, _chain(error)) if path), None)
    if named is None:  # a failed write names no file: it was on the fuller disk, if that has little room
        places = [place for place in (min((root, temporary), key=_free),) if _free(place) < _LITTLE]
    else:
        places = [folder for folder in (root, temporary) if named.absolute().is_relative_to(folder.absolute())]
    if not places:
        return None
    name = f"{key}={root}" if places[0] == root else f"the folder for temporary files, {temporary} (TMPDIR),"
    return NoRoom(f"{name} takes no more files ({why}): make room there and run the same command again")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what has led to it."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _path(error: BaseException) -> str:
    name = error.filename if isinstance(error, OSError) and error.errno in _ERRNOS else None
    return name if isinstance(name, str) else ""


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _free(folder: Path) -> int:
    """Bytes that can be written there; also 0 if no file can be made or the place cannot be looked at."""
    try:
        there = os.statvfs(folder)
    except OSError:
        return 0
    can_be_made = there.f_favail or not there.f_files  # some file systems do not count files
    is_writable = not there.f_flag & os.ST_RDONLY
    return there.f_bavail * there.f_frsize if can_be_made and is_writable else 0
