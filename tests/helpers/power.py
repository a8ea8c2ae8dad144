"""A disk that loses power: an ext4 file system in a file, copied as it is at that instant, and mounted again."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SIZE = 256 * 1024**2
# The file system writes by itself only what programs ask it to, for as long as a test takes.
_OPTIONS = "loop,commit=600"


class Disk:
    """A file system of its own, mounted at `root`.

    Attributes:
        root: where it is mounted, whatever state it is in.
        image: the file that is the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "disk"
        self.root.mkdir()
        self.image = folder / "image"
        with self.image.open("wb") as file:
            file.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)

    def cut(self, name: str) -> Path:
        """What is on the disk now, without what it was not yet told to write: an image for `mounted`."""
        copy = self.image.with_name(name)
        _run("cp", "--sparse=always", self.image, copy)
        return copy

    @contextmanager
    def mounted(self, image: Path | None = None) -> Iterator[Path]:
        """The folder, with the disk or another image of it in it."""
        image = image or self.image
        _run("e2fsck", "-p", image, allowed=(0, 1))  # as a machine does when it starts
        _run("mount", "-o", _OPTIONS, image, self.root)
        try:
            yield self.root
        finally:
            _run("umount", self.root)


def disk_in(folder: Path) -> Disk:
    """A disk; skips where none can be made."""
    missing = [tool for tool in ("mkfs.ext4", "e2fsck", "mount", "losetup") if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"file systems are mounted by root, with {', '.join(missing or ['mount'])}")
    disk = Disk(folder)
    try:
        with disk.mounted():
            return disk
    except RuntimeError as error:
        pytest.skip(f"this root may not mount a file system ({error})")


def _run(*command: str | Path, allowed: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout).strip()}")
