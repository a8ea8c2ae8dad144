"""Where Ray can keep its files on this machine, and why it does not start."""

import os
import re
from pathlib import Path

import psutil

from sweeps.machines import MIB
from sweeps.process import is_writable, temporary_folder

SHARED_MEMORY = Path("/dev/shm")
_LONGEST_SOCKET = 107
"""Linux's limit for a socket's path, in bytes."""
_SOCKET = "ray-0f0f0f/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path of a socket that Ray makes: process ids have at most seven digits."""
_SHORT_PLACES = (Path("/tmp"), Path("/var/tmp"), SHARED_MEMORY)
# Less than this is too little in every case.
_LEAST_ROOM = 16 * MIB
_LEAST_MEMORY = 512 * MIB
_LEAST_LIMIT = 256
_LIMITS = {"open files (ulimit -n)": psutil.RLIMIT_NOFILE, "processes (ulimit -u)": psutil.RLIMIT_NPROC}
_LOGS = ("gcs_server.err", "raylet.err", "gcs_server.out", "raylet.out")
_BAD = re.compile(r" [CEF] |Check failed")
"""Lines of the .out files that report an error: Ray marks them with a letter for the severity."""


def wanted() -> Path:
    """Where Ray's files should go."""
    return Path(os.environ.get("RAY_TMPDIR") or temporary_folder()).resolve()


def places() -> tuple[Path, ...]:
    """All folders that Ray's folder may be in: the temporary folder, then those that every system has."""
    return tuple(dict.fromkeys((wanted(), *_SHORT_PLACES)))


def place() -> Path:
    """The first of `places` in which Ray can work; the temporary folder if there is none."""
    return next((folder for folder in places() if not unfit(folder)), wanted())


def unfit(folder: Path) -> str:
    """Why Ray cannot work in a folder, as the end of a sentence; "" if it can."""
    if len(os.fsencode(folder / _SOCKET)) > _LONGEST_SOCKET:
        most = _LONGEST_SOCKET - len(_SOCKET) - 1
        return f"has a longer path than Ray's sockets allow ({len(os.fsencode(folder))} bytes of at most {most})"
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not is_writable(existing):
        return "cannot be written"
    room = os.statvfs(existing)
    if room.f_bavail * room.f_frsize < _LEAST_ROOM or (room.f_files and not room.f_favail):
        return "is full"
    return ""


def cause(folder: Path) -> str:
    """Why Ray has not started from its folder: what is lacking, else the last error in the logs of its processes."""
    if problem := unfit(folder.parent):
        return f"{folder.parent} {problem}"
    free = psutil.virtual_memory().available
    if free < _LEAST_MEMORY:
        return f"only {free // MIB} MiB of memory are free, end other programs"
    if said := _last_words(folder):
        return said
    for name, kind in _LIMITS.items():
        most, _ = psutil.Process().rlimit(kind)
        if 0 <= most < _LEAST_LIMIT:
            return f"only {most} {name} are allowed, which may be too few"
    return "its processes say nothing about it, so the machine may be overloaded"


def _last_words(folder: Path) -> str:
    for name in _LOGS:
        for file in folder.glob(f"session_*[0-9]/logs/{name}"):
            lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
            bad = [line for line in lines if name.endswith(".err") or _BAD.search(line)]
            if bad:
                return f"{name} ends with {bad[-1][:300]!r}"
    return ""
