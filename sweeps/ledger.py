"""What the tracker has delivered: a journal on disk that a crash in the middle of a line does not spoil."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from sweeps.json_text import parse


class Ledger:
    """Results of one sweep that one tracking server has acknowledged, a line each, appended and synced.

    The server's own list of runs is the authority; the ledger tells without a server what was delivered and where, and
    remembers when the sweep was first started.
    """

    def __init__(self, file: Path) -> None:
        """Read what is there; a line that is cut short or altered counts as never written."""
        self.file = file
        self._cut_short = False
        self.runs: dict[str, str] = {}
        self.started_at = time.time()
        entries = self._read()
        for entry in entries:
            if "started_at" in entry:
                self.started_at = float(entry["started_at"])
            else:
                self.runs[str(entry["key"])] = str(entry["run"])
        if not entries:
            self._append({"started_at": self.started_at})

    def acknowledge(self, key: str, run_id: str) -> None:
        """Note that the result `key` is complete in the run `run_id`."""
        if self.runs.get(key) != run_id:
            self._append({"key": key, "run": run_id})
            self.runs[key] = run_id

    def _read(self) -> list[dict[str, Any]]:
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return []
        self._cut_short = bool(content) and not content.endswith(b"\n")
        entries = [_entry(line) for line in content.split(b"\n") if line]
        return [entry for entry in entries if entry is not None]

    def _append(self, entry: dict[str, Any]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"sha256": _digest(entry), "entry": entry}).encode() + b"\n"
        with self.file.open("ab") as file:
            file.write(b"\n" + line if self._cut_short else line)
            file.flush()
            os.fsync(file.fileno())
        self._cut_short = False


def _digest(entry: Any) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse(line)
        entry = record["entry"]
        sound = record["sha256"] == _digest(entry) and (set(entry) == {"key", "run"} or set(entry) == {"started_at"})
    except (ValueError, KeyError, TypeError):
        return None
    return entry if sound else None
