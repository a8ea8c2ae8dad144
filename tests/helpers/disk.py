"""What a process asks of the disk, and in which order: real calls, recorded."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Trace:
    """Calls of this process.

    Attributes:
        calls: ("sync" or "remove", path) and ("name", new path), in order.
        early: what got its name before all of it was on the disk.
    """

    calls: list[tuple[str, Path]] = field(default_factory=list)
    early: list[Path] = field(default_factory=list)
    _synced: dict[int, tuple[int, int]] = field(default_factory=dict)  # inode -> (size, time of its last change)

    def sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self._synced[status.st_ino] = (status.st_size, status.st_mtime_ns)
        self.calls.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))

    def name(self, what: Path, new: Path) -> None:
        inside = [what, *what.rglob("*")] if what.is_dir() else [what]
        self.early += [path for path in inside if not self.is_on_disk(path)]
        self.calls.append(("name", new))

    def is_on_disk(self, path: Path) -> bool:
        """Whether a file or folder was synced since it was changed last."""
        status = path.stat()
        return self._synced.get(status.st_ino) == (status.st_size, status.st_mtime_ns)

    def steps(self, *calls: tuple[str, Path]) -> list[int]:
        """The place in the order at which each of these calls came first."""
        return [self.calls.index(call) for call in calls]


@contextmanager
def traced() -> Iterator[Trace]:
    """Record what is synced, renamed and removed inside."""
    trace = Trace()
    fsync, replace, rename, unlink = os.fsync, os.replace, os.rename, os.unlink

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        trace.sync(descriptor)

    def named(source, target, **folders) -> None:
        trace.name(Path(source), Path(target))
        (rename if os.path.isdir(source) else replace)(source, target, **folders)

    def removed(path, **folders) -> None:
        unlink(path, **folders)
        trace.calls.append(("remove", Path(path)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", named)
        patch.setattr(os, "rename", named)
        patch.setattr(os, "unlink", removed)
        yield trace
