"""Epoch checkpoints with a copy at `storage.uri`: another node can go on with the training of a lost node."""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from prune_core.files import write_atomically
from prune_core.training import EpochCheckpoint, Variable, epochs_done
from sweeps.store.remote import Remote, StorageAway

log = logging.getLogger(__name__)


class SharedCheckpoint(EpochCheckpoint):
    """A checkpoint on this machine and its copy at `remote`. If `remote` is away, training goes on.

    Args:
        file: on this machine.
        remote: where the copy goes; asked once each time, whatever its patience for results.
        name: of the copy.
    """

    def __init__(self, file: Path, remote: Remote, name: str) -> None:
        super().__init__(file)
        self._remote = replace(remote, patience_s=0)
        self._name = name

    def restore(self, variables: Sequence[Variable]) -> list[dict[str, float]]:
        """Restore the copy that has more epochs, from this machine or from `remote`."""
        theirs = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        try:
            if self._remote.get(self._name, theirs) and epochs_done(theirs) > epochs_done(self.file):
                with theirs.open("rb") as source:
                    write_atomically(self.file, partial(shutil.copyfileobj, source))
        except StorageAway as error:
            log.warning("no copy of a checkpoint is looked for: %s", error)
        finally:
            theirs.unlink(missing_ok=True)
        return super().restore(variables)

    def save(self, variables: Sequence[Variable], history: Sequence[Mapping[str, float]]) -> bool:
        """As `EpochCheckpoint.save`, on this machine and at `remote`."""
        saved = super().save(variables, history)
        if saved:
            try:
                self._remote.put(self.file, self._name)
            except StorageAway as error:
                log.warning("the checkpoint stays on this machine: %s", error)
        return saved

    def _new_part(self, ending: str) -> "SharedCheckpoint":
        name, _, suffix = self._name.rpartition(".")
        file = self.file.with_name(f"{self.file.stem}{ending}{self.file.suffix}")
        return SharedCheckpoint(file, self._remote, f"{name}{ending}.{suffix}")

    def remove(self) -> None:
        """As `EpochCheckpoint.remove`, on this machine and at `remote`."""
        super().remove()
        try:
            self._remote.remove(self._name)
        except StorageAway as error:
            log.warning("a checkpoint that is not needed any more stays: %s", error)
