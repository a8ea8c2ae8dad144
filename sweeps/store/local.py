"""Results on disk, by content key: a second run repeats nothing, and the tracker delivers from here.

    <root>/results/<key>/result.json      the record, with the sha256 of every file beside it
    <root>/results/<key>/masks.npz ...    files of the result

    <root>/results/.<key>.lock            while somebody works on that key
    <root>/results/.<key>.npz             state of a long training that is not finished

A result is complete or absent, also after a power cut: it is written in a temporary folder, which is renamed into
place when all of it is on the disk. A result that does not match its checksums is moved aside and counts as absent.
Sweeps that share a result do not make it twice at the same time.
"""

import glob
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.errors import UserError
from prune_core.files import make_folder, sync_folder, sync_tree
from sweeps.json_text import parse
from sweeps.specs import Result
from sweeps.store.full_disk import NoRoom, no_room
from sweeps.store.locks import PathLock

if TYPE_CHECKING:
    from prune_core.training import EpochCheckpoint

log = logging.getLogger(__name__)
RECORD = "result.json"
"""File in a result's folder that makes it a result."""
_KEY = re.compile(r"\w[\w-]*", re.ASCII)
_TEMPORARY = re.compile(rf"\.(?:({_KEY.pattern})(?:\.lock|\.npz\..+)|({_KEY.pattern})-[^-.]+)", re.ASCII)


class ResultStore:
    """Finished results under `root`. Safe for many processes: the first to finish a key wins, the others are equal.

    Attributes:
        key: the configuration key that names `root`.
    """

    key = "storage.root"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results = root / "results"

    @property
    def place(self) -> str:
        """Where results go, for a person."""
        return str(self.root)

    def prepare(self) -> None:
        """Make the folders. Raises UserError if nothing can be written there."""
        try:
            make_folder(self.results)
            with tempfile.TemporaryFile(dir=self.results):
                pass
        except OSError as error:
            raise UserError(
                f"storage.root={self.root} cannot be written ({error.strerror}): "
                "name a folder of yours with storage.root=..."
            ) from None

    def full(self, error: BaseException) -> NoRoom | None:
        """The error as a sentence, if it says that nothing can be written any more; else None."""
        return no_room(error, self.root, self.key)

    def folder(self, key: str) -> Path:
        """Where the files of a finished result lie. Raises ValueError for a key that would lead elsewhere."""
        if not is_key(key):
            raise ValueError(f"{key!r} is not the key of a result")
        return self.results / key

    def load(self, key: str) -> Result | None:
        """The finished result, its files verified against their checksums; None if there is none, or a damaged one."""
        folder = self.folder(key)
        try:
            envelope = parse((folder / RECORD).read_bytes())
            record = envelope["result"]
            if envelope["sha256"] != _digest_of_record(record) or record["key"] != key:
                raise ValueError(f"{RECORD} does not match its checksum")
            result = Result.from_record(record)
            if folder.is_symlink() or any(os.path.basename(name) != name for name in result.files):
                raise ValueError("it reaches out of its folder")
            for name, digest in result.files.items():
                if _digest_of_file(folder / name) != digest:
                    raise ValueError(f"{name} does not match its checksum")
        except FileNotFoundError:
            if not folder.exists():
                return None
            self._set_aside(folder, "a file is missing")
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._set_aside(folder, str(error))
            return None
        return result

    def fetch(self, key: str) -> Result | None:
        """As `load`, from every place where nodes put results; a result that is found is then there for all nodes.

        Raises:
            StorageAway: that place does not answer.
        """
        return self.load(key)

    def elsewhere(self) -> frozenset[str]:
        """Keys of results that all nodes reach, also if they are not here. Raises UserError if that place is away."""
        return frozenset()

    def sync(self, keys: Iterable[str], stopped: Callable[[], bool]) -> None:
        """Make those of the results that are finished available here and to all nodes; ends early if `stopped`.

        Raises:
            UserError: the place that all nodes reach does not answer.
        """

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary folder for the files of a result; `commit` it inside the `with`, else it is thrown away."""
        folder = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=self.results))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, folder: Path, result: Result) -> Result:
        """Seal what was written in `folder` (every file in it belongs to the result) and move it into place.

        When this returns, the result is on the disk.
        """
        files = {path.name: _digest_of_file(path) for path in sorted(folder.iterdir())}
        sealed = replace(result, files=files)
        record = asdict(sealed)
        envelope = {"sha256": _digest_of_record(record), "result": record}
        (folder / RECORD).write_text(json.dumps(envelope, indent=1, allow_nan=False), encoding="utf-8")
        self._move_into_place(folder, result.key)
        return sealed

    def lock(self, key: str) -> PathLock:
        """Held by the one process that works on `key`."""
        return PathLock(self.results / f".{key}.lock")

    def checkpoint(self, key: str) -> Path:
        """Where unfinished work on `key` may keep its state: any worker, on any node, goes on from it."""
        return self.results / f".{key}.npz"

    def training_state(self, key: str) -> "EpochCheckpoint":
        """The checkpoint, between two epochs, of the training that `key` stands for."""
        from prune_core.training import EpochCheckpoint

        return EpochCheckpoint(self.checkpoint(key))

    def on_node(self, copies: Path | None) -> "ResultStore":
        """The same store for a worker; on another node than the driver's, `copies` is that node's folder for copies."""
        return self

    @contextmanager
    def probe(self) -> Iterator[str]:
        """The name of a file that is in the store while entered: nodes that see it share the store."""
        with tempfile.NamedTemporaryFile(dir=self.root, prefix="probe-") as file:
            yield Path(file.name).name

    def sees(self, probe: str) -> bool:
        """Whether this node shares the store. Raises UserError if it does, but cannot write there."""
        if not (self.root / probe).exists():
            return False
        self.prepare()
        return True

    def sweep_temporary(self) -> None:
        """Remove what killed workers left behind, except the state of trainings. Files of living workers stay."""
        keys = {_key_of_temporary(entry.name) for entry in self.results.glob(".*")}
        for key in filter(None, keys):
            lock = self.lock(key)
            try:
                if lock.acquire():
                    for folder in self.results.glob(f".{glob.escape(key)}-*"):
                        shutil.rmtree(folder, ignore_errors=True)
                    for partial in self.results.glob(f".{glob.escape(key)}.npz.*"):
                        partial.unlink(missing_ok=True)
            except OSError as error:
                log.warning("what an earlier run left in %s stays there: %s", self.results, error)
                return
            finally:
                lock.release()

    def _move_into_place(self, folder: Path, key: str) -> None:
        sync_tree(folder)
        try:
            os.rename(folder, self.folder(key))
        except OSError:  # another process finished the same key first: its result is kept
            if self.load(key) is None:
                raise
        sync_folder(self.results)

    def _set_aside(self, folder: Path, reason: str) -> None:
        log.warning("the result in %s is damaged (%s): it is set aside and will be made again", folder, reason)
        graveyard = Path(tempfile.mkdtemp(prefix="damaged-", dir=self.root))
        os.rename(folder, graveyard / folder.name)


def is_key(name: object) -> bool:
    """Whether `name` can be a content key: the name of one folder, which does not lead out of its place."""
    return isinstance(name, str) and _KEY.fullmatch(name) is not None


def _key_of_temporary(name: str) -> str:
    """The key in ".<key>.lock", ".<key>-<random>" and ".<key>.npz.<random>", else ""."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] or match[2] if match else ""


def _digest_of_record(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: Path) -> str:
    """The sha256 of a file. A link is refused: it may lead out of the store, to private files."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
