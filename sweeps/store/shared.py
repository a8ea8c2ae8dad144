"""Results on this machine and at `storage.uri`, which other machines reach as well.

    <uri>/results/<key>.zip        a finished result: the files of its folder in one archive, complete or absent
    <uri>/checkpoints/<key>.npz    state of a long training that is not finished
    <uri>/damaged/                 archives that do not match their checksums

Work that ends here counts as finished when its result is there, too. If two machines do the same work at once, the
first result that is put there wins, and the other machine takes it over.
"""

import logging
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.errors import UserError
from sweeps.specs import Result
from sweeps.store.local import RECORD, ResultStore
from sweeps.store.remote import Remote, StorageAway
from sweeps.store.shared_checkpoint import SharedCheckpoint

if TYPE_CHECKING:
    from sweeps.config.settings import StorageSettings

log = logging.getLogger(__name__)
WORKER_PATIENCE_S = 300.0
"""How long a worker that has a result waits for a store that is away."""
_AT_ONCE = 8
_DAMAGE = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError)


def open_store(storage: "StorageSettings") -> ResultStore:
    """The store that the settings name."""
    if storage.uri is None:
        return ResultStore(storage.root)
    return SharedStore(storage.root, Remote(storage.uri))


class SharedStore(ResultStore):
    """Finished results under `root`, which are copies of those at `remote`.

    Args:
        root: a folder of this machine.
        remote: where all machines put results. A failure there raises StorageAway.
        keep: whether the result of a trial stays under `root` when it is at `remote`.
    """

    def __init__(self, root: Path, remote: Remote, keep: bool = True) -> None:
        super().__init__(root)
        self.remote = remote
        self._keep = keep

    @property
    def place(self) -> str:
        return f"{self.root} and {self.remote.uri}"

    def prepare(self) -> None:
        """Make the folders. Raises UserError if nothing can be written here, or there."""
        super().prepare()
        self.remote.check()

    def elsewhere(self) -> frozenset[str]:
        try:
            return frozenset(name.removesuffix(".zip") for name in self.remote.names("results"))
        except StorageAway as error:
            raise UserError(str(error)) from None

    def fetch(self, key: str) -> Result | None:
        result = self.load(key)
        if result is None:
            return self._take_over(key)
        if not self.remote.has(_result(key)):
            self._hand_over(key)
        return result

    def commit(self, folder: Path, result: Result) -> Result:
        theirs = self._take_over(result.key)
        if theirs is not None:
            return theirs
        sealed = super().commit(folder, result)
        self._hand_over(result.key)
        if not self._keep and result.kind == "trial":  # nothing on this machine looks at it again
            shutil.rmtree(self.folder(result.key), ignore_errors=True)
        return sealed

    def sync(self, keys: Iterable[str], stopped: Callable[[], bool]) -> None:
        there = self.elsewhere()
        wanted = {key: (self.folder(key) / RECORD).exists() for key in keys}

        def level(key: str) -> None:
            here = wanted[key]
            if stopped() or here == (key in there):
                return
            if not here:
                self._take_over(key)
            elif self.load(key) is not None:
                self._hand_over(key)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                list(pool.map(level, wanted))
            except StorageAway as error:
                pool.shutdown(cancel_futures=True)
                raise UserError(str(error)) from None

    def on_node(self, copies: Path | None) -> ResultStore:
        remote = replace(self.remote, patience_s=WORKER_PATIENCE_S)
        if copies is None:
            return SharedStore(self.root, remote)
        store = SharedStore(copies, remote, keep=False)
        store.key = "storage.cache"
        ResultStore.prepare(store)
        return store

    @contextmanager
    def probe(self) -> Iterator[str]:
        with self.remote.probe() as name:
            yield name

    def sees(self, probe: str) -> bool:
        self.prepare()
        self.sweep_temporary()
        return self.remote.has(probe)

    def sweep_temporary(self) -> None:
        super().sweep_temporary()
        try:
            self.remote.tidy()
        except StorageAway as error:
            log.warning("what an earlier run left at %s stays there: %s", self.remote.uri, error)

    def training_state(self, key: str) -> SharedCheckpoint:
        return SharedCheckpoint(self.checkpoint(key), self.remote, f"checkpoints/{key}.npz")

    def _hand_over(self, key: str) -> None:
        with self.writing(key) as temporary:
            archive = temporary / "archive"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:  # the files are compressed already
                for file in sorted(self.folder(key).iterdir()):
                    packed.write(file, file.name)
            self.remote.put(archive, _result(key))

    def _take_over(self, key: str) -> Result | None:
        """Copy a result from `remote`; None if there is none, or if it is damaged and therefore set aside."""
        with self.writing(key) as temporary:
            archive, content = temporary / "archive", temporary / "content"
            if not self.remote.get(_result(key), archive):
                return None
            try:
                _unpack(archive, content)
            except _DAMAGE as error:
                log.warning("the archive %s at %s is damaged (%s)", _result(key), self.remote.uri, error)
            else:
                self._move_into_place(content, key)
        result = self.load(key)
        if result is None:
            self.remote.move(_result(key), f"damaged/{key}-{secrets.token_hex(4)}.zip")
        return result


def _result(key: str) -> str:
    return f"results/{key}.zip"


def _unpack(archive: Path, folder: Path) -> None:
    """Raises one of `_DAMAGE` for an archive that `_hand_over` did not make. Files are not larger than the archive."""
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if sum(member.file_size for member in members) > archive.stat().st_size:
            raise ValueError("its files overlap")
        folder.mkdir()
        packed.extractall(folder)
