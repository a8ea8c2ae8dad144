"""The state of a training between two epochs, on disk: one that is killed goes on instead of beginning again."""

import json
import logging
import os
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

log = logging.getLogger(__name__)
SAVE_EVERY_S = 20.0
"""An epoch is saved if this much time has gone since the last one that was: short trainings write nothing."""
_HISTORY = "history"


class Variable(Protocol):
    """What a Keras variable has."""

    @property
    def shape(self) -> tuple[int | None, ...]: ...
    def numpy(self) -> np.ndarray: ...
    def assign(self, value: np.ndarray) -> Any: ...


class EpochCheckpoint:
    """One file, replaced as a whole; what it holds is read without pickles and checked by the archive's checksums.

    Args:
        file: an .npz that belongs to exactly this training: equal names stand for equal data, network and settings.
        every_s: seconds between two saves at least.
    """

    def __init__(self, file: Path, every_s: float = SAVE_EVERY_S) -> None:
        self._file = file
        self._every_s = every_s
        self._saved_at = time.monotonic()

    def restore(self, variables: Sequence[Variable]) -> list[dict[str, float]]:
        """Put the variables into the state saved; returns the figures of the epochs done, [] if there is none."""
        try:
            with np.load(self._file, allow_pickle=False) as saved:
                history = json.loads(str(saved[_HISTORY]))
                values = [saved[str(number)] for number in range(len(variables))]
                if len(saved.files) != len(values) + 1:
                    raise ValueError("of another network")
            if not _are_figures(history) or any(
                value.shape != tuple(variable.shape) for value, variable in zip(values, variables, strict=True)
            ):
                raise ValueError("of another network")
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            log.warning("%s is not used, the training begins again: %s", self._file, error)
            return []
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return history

    def save(self, variables: Sequence[Variable], history: Sequence[Mapping[str, float]]) -> None:
        """Write the state after the epochs of `history`, if enough time has gone. A full disk stops no training."""
        if time.monotonic() - self._saved_at < self._every_s:
            return
        arrays = {str(number): variable.numpy() for number, variable in enumerate(variables)}
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays, **{_HISTORY: np.array(json.dumps(list(history)))})
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written, the training goes on: %s", self._file, error)
            partial.unlink(missing_ok=True)
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """The training is finished."""
        self._file.unlink(missing_ok=True)


def _are_figures(history: Any) -> bool:
    return isinstance(history, list) and all(
        isinstance(figures, dict) and all(isinstance(value, float) for value in figures.values()) for figures in history
    )
