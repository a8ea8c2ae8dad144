"""The record of a sweep, which its report is drawn from, together with its results: one JSON file.

    <root>/sweeps/<sweep id>/sweep.json

The results themselves lie in the store, under their keys.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from prune_core.errors import UserError
from prune_core.files import make_folder, write_atomically
from sweeps.config import Reference
from sweeps.json_text import parse
from sweeps.redact import redact, redact_all
from sweeps.reporting.results import Row
from sweeps.specs import BaselineSpec, Failure, Result, TrialSpec, Work
from sweeps.store import ResultStore, is_key

RECORD_FILE = "sweep.json"


@dataclass(frozen=True)
class FailureNote:
    """Work without a result, as a report shows it."""

    label: str
    status: Literal["failed", "blocked", "lost"]
    reason: str


@dataclass(frozen=True)
class SweepRecord:
    """A sweep, without its results.

    Attributes:
        sweep_id: as in its plan.
        name: what a person calls it.
        command: the command that runs it again.
        keys: content keys of all its work, in order.
        config: the resolved configuration, credentials replaced.
        provenance: commit, versions, user (`sweeps.tracking.provenance`).
        cached: keys that were finished before it began.
        failures: what has no result.
        seconds: wall time of its last run.
        phases: its parts, {phase: seconds}, as in `sweeps.reporting.profile`.
        overrides: of the command, word by word, credentials replaced.
    """

    sweep_id: str
    name: str
    command: str
    keys: tuple[str, ...]
    config: Mapping[str, Any]
    provenance: Mapping[str, str]
    cached: tuple[str, ...] = ()
    failures: tuple[FailureNote, ...] = ()
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @property
    def reference(self) -> Reference | None:
        """The published results of its configuration."""
        return Reference.read(self.config.get("reference"))


def note(failure: Failure) -> FailureNote:
    """The part of a failure that a report shows."""
    return FailureNote(failure.work.label, failure.status, redact(failure.reason))


def save_record(folder: Path, record: SweepRecord) -> Path:
    """Write the record into the sweep's folder, whole or not at all; returns the file."""
    asked = {"command": redact(record.command), "overrides": redact_all(record.overrides)}
    content = {**asdict(record), "config": redact_all(record.config), **asked}
    path = folder / RECORD_FILE
    make_folder(folder)
    write_atomically(path, json.dumps(content, indent=1, default=str))
    return path


def load_record(root: Path, sweep: str) -> SweepRecord:
    """The record of a sweep under `root`.

    Args:
        root: storage.root.
        sweep: its id, the beginning of it, or "latest".

    Raises:
        UserError: no sweep or several sweeps begin like that, or the file is damaged.
    """
    found = recorded(root)
    chosen = found[-1:] if sweep == "latest" else [one for one in found if sweep and one.startswith(sweep)]
    if len(chosen) != 1:
        known = ", ".join(reversed(found[-8:]))
        how = "several sweeps begin" if chosen else "no sweep begins"
        raise UserError(f"sweep={sweep}: {how} like that in {root}: name one of {known}, or latest")
    return _read(root / "sweeps" / chosen[0] / RECORD_FILE)


def recorded(root: Path) -> list[str]:
    """Ids of the sweeps under `root`, the latest last. Raises UserError if there are none."""
    found = sorted((root / "sweeps").glob(f"*/{RECORD_FILE}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"no sweep is recorded in {root}: name the folder it ran with, storage.root=...")
    return [path.parent.name for path in found]


def _read(path: Path) -> SweepRecord:
    try:
        content = parse(path.read_bytes())
        failures = tuple(FailureNote(**failure) for failure in content["failures"])
        if not all(map(is_key, content["keys"])):
            raise ValueError("a key in it is not a content key")
        tuples = {"keys": tuple(content["keys"]), "cached": tuple(content["cached"]), "failures": failures}
        return SweepRecord(**{**content, **tuples, "overrides": _overrides(content)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}): run the sweep's command again to write it anew") from None


def _overrides(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Raises ValueError, KeyError or AttributeError for a damaged record."""
    if "overrides" not in content:  # written before they were kept: the command is "python sweeps/run.py ..."
        return tuple(shlex.split(content["command"])[2:])
    if not all(isinstance(word, str) for word in content["overrides"]):
        raise ValueError("an override in it is not a text")
    return tuple(content["overrides"])


def rows_of(record: SweepRecord, store: ResultStore, plan: Iterable[Work] = ()) -> list[Row]:
    """Its finished work, from the store: as `plan` has it; work that is not in the plan is rebuilt from its result."""
    works = {work.key: work for work in plan}
    results = ((key, store.load(key)) for key in record.keys)
    return [Row(works.get(key) or work_of(result), result, key in record.cached) for key, result in results if result]


def work_of(result: Result) -> Work:
    """The work that a result came from, rebuilt from the record in the result.

    Raises:
        UserError: the record is incomplete, because another version has written it.
    """
    try:
        if result.kind == "baseline":
            return BaselineSpec(**result.config)
        return TrialSpec(**{**result.config, "baseline": BaselineSpec(**result.config["baseline"])})
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the result {result.key} lacks a part of its record ({error}): remove its folder and run the sweep again"
        ) from None


def keys_of(plan: Sequence[Work], rows: Sequence[Row]) -> tuple[str, ...]:
    """The plan's keys, then those of trials that a searcher found."""
    return tuple(dict.fromkeys([*(work.key for work in plan), *(row.work.key for row in rows)]))
