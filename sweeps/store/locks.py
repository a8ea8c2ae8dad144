"""Locks on files. The holder of a lock is alive: the system releases the lock in every case when its process ends."""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prune_core.errors import UserError
from sweeps.json_text import parse

log = logging.getLogger(__name__)
HELD = {errno.EACCES, errno.EAGAIN}
UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


class PathLock:
    """An exclusive lock that exists, as a file, only while somebody holds it.

    Where the file system has no locks, every attempt succeeds: two processes then do not notice each other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take it if it is free. Returns whether this object holds it now. Raises OSError if no file can be made."""
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    os.close(descriptor)
                    if error.errno in HELD:
                        return False
                    raise
            if _is_at(descriptor, self._path):
                self._descriptor = descriptor
            else:  # its last holder removed the file between our two calls
                os.close(descriptor)
        return True

    def release(self) -> None:
        """Release it; does nothing if it is not held."""
        if self._descriptor is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:  # harmless: the lock itself ends with the descriptor
                log.debug("%s stays: %s", self._path, error)
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, text: str) -> None:
        """Write a text for processes that find the lock held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)


@contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """While entered, no other process enters the same folder of a sweep.

    Raises:
        UserError: another process is inside; the message names it.
    """
    path = folder / "driver.lock"
    lock = PathLock(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entered = lock.acquire()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): correct its permissions, or name another storage.root"
        ) from None
    if not entered:
        raise UserError(
            f"this sweep is running already ({_holder(path)}) and goes to the same storage.root: let it finish, "
            "or end it and run the same command again"
        )
    try:
        lock.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%H:%M:%S")}))
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        word = parse(path.read_bytes())
        return f"process {word['pid']} on {word['host']}, since {word['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just started, or has just ended
        return "another process"


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
