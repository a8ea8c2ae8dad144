"""What the tracker has delivered: a journal on disk that a crash in the middle of a line does not damage."""

import hashlib
import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from prune_core.files import append, make_folder
from sweeps.json_text import parse

SETTLES_S = 60.0
"""After this time, data that were sent to a server are on its disk: Linux writes unsynced data after 30 s."""


class Ledger:
    """Results of one sweep that one tracking server has acknowledged, a line each, appended and synced.

    The server's own list of runs is the authority; the ledger tells without a server what was delivered and where, and
    remembers when the sweep was first started.

    Attributes:
        runs: {key: run id} of what is delivered.
        settled: those of them that were checked again later, and need no further check.
        started_at: of the sweep's first start, in seconds since the epoch.
    """

    def __init__(self, file: Path) -> None:
        """Read what is there; a line that is cut short or altered counts as never written."""
        self.file = file
        self._cut_short = False
        self.runs: dict[str, str] = {}
        self.settled: dict[str, str] = {}
        self._at: dict[str, float] = {}
        self.started_at = time.time()
        entries = self._read()
        for entry in entries:
            if "started_at" in entry:
                self.started_at = float(entry["started_at"])
            else:
                key, run_id = str(entry["key"]), str(entry["run"])
                self.runs[key] = run_id
                self._at.setdefault(key, float(entry.get("at", 0)))
                if "settled" in entry:
                    self.settled[key] = run_id
        if not entries:
            self._append([{"started_at": self.started_at}])

    def acknowledge(self, key: str, run_id: str) -> None:
        """Note that the result `key` is complete in the run `run_id`."""
        if self.runs.get(key) != run_id:
            at = time.time()
            self._append([{"key": key, "run": run_id, "at": at}])
            self.runs[key] = run_id
            self._at[key] = at

    def settle(self, keys: Collection[str]) -> None:
        """Note that results were found complete, except recent ones, which a power cut may still damage."""
        since = time.time() - SETTLES_S
        due = {key: self.runs[key] for key in keys if key in self.runs and self._at[key] < since}
        new = [{"key": key, "run": run, "settled": True} for key, run in due.items() if self.settled.get(key) != run]
        if new:
            self._append(new)
            self.settled |= due

    def _read(self) -> list[dict[str, Any]]:
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return []
        self._cut_short = bool(content) and not content.endswith(b"\n")
        entries = [_entry(line) for line in content.split(b"\n") if line]
        return [entry for entry in entries if entry is not None]

    def _append(self, entries: list[dict[str, Any]]) -> None:
        make_folder(self.file.parent)
        lines = [json.dumps({"sha256": _digest(entry), "entry": entry}).encode() + b"\n" for entry in entries]
        append(self.file, b"".join([b"\n"] * self._cut_short + lines))
        self._cut_short = False


def _digest(entry: Any) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse(line)
        entry = record["entry"]
        delivery = {"key", "run"} <= set(entry) and isinstance(entry.get("at", 0), (int, float))
        sound = record["sha256"] == _digest(entry) and (delivery or set(entry) == {"started_at"})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return entry if sound else None
