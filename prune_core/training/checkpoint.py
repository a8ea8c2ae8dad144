"""The state of a training between two epochs, on disk: a killed training resumes instead of beginning again."""

import json
import logging
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from prune_core.files import write_atomically

log = logging.getLogger(__name__)
SAVE_EVERY_S = 20.0
"""An epoch is saved if this much time has passed since the last saved one: short trainings write nothing."""
_HISTORY = "history"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


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
        self.file = file
        self._every_s = every_s
        self._saved_at = time.monotonic()
        self._parts: dict[int, EpochCheckpoint] = {}

    def restore(self, variables: Sequence[Variable]) -> list[dict[str, float]]:
        """Put the variables into the state saved; returns the figures of the epochs done, [] if there is none."""
        try:
            with np.load(self.file, allow_pickle=False) as saved:
                history = _figures(saved)
                values = [saved[str(number)] for number in range(len(variables))]
                if len(saved.files) != len(values) + 1:
                    raise ValueError("of another network")
            if any(value.shape != tuple(variable.shape) for value, variable in zip(values, variables, strict=True)):
                raise ValueError("of another network")
        except FileNotFoundError:
            return []
        except _UNREADABLE as error:
            log.warning("%s is not used, the training begins again: %s", self.file, error)
            return []
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return history

    def save(self, variables: Sequence[Variable], history: Sequence[Mapping[str, float]]) -> bool:
        """Write the state after the epochs of `history`, if enough time has passed; returns whether it did.

        A full disk does not stop the training.
        """
        if time.monotonic() - self._saved_at < self._every_s:
            return False
        arrays = {str(number): variable.numpy() for number, variable in enumerate(variables)}
        arrays[_HISTORY] = np.array(json.dumps(list(history)))
        try:
            write_atomically(self.file, lambda file: np.savez(file, allow_pickle=False, **arrays))
        except OSError as error:
            log.warning("%s cannot be written, the training goes on: %s", self.file, error)
            return False
        finally:
            self._saved_at = time.monotonic()
        return True

    def part(self, number: int) -> "EpochCheckpoint":
        """The state of one of several trainings of one piece of work; numbers begin at 1."""
        return self._parts.setdefault(number, self._new_part(f".part-{number}"))

    def _new_part(self, ending: str) -> "EpochCheckpoint":
        return EpochCheckpoint(self.file.with_name(f"{self.file.stem}{ending}{self.file.suffix}"), self._every_s)

    def remove(self) -> None:
        """Remove the state of a finished training."""
        self.file.unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Remove the states of the parts that were asked for: all of these trainings are finished."""
        for part in self._parts.values():
            part.remove()


def epochs_done(file: Path) -> int:
    """How many epochs the state in a file of `EpochCheckpoint` comes after; 0 if it cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as saved:
            return len(_figures(saved))
    except _UNREADABLE:
        return 0


def _figures(saved: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    history = json.loads(str(saved[_HISTORY]))
    if not isinstance(history, list) or not all(
        isinstance(figures, dict) and all(isinstance(value, float) for value in figures.values()) for figures in history
    ):
        raise ValueError("no figures of epochs in it")
    return history
