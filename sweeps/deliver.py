"""Deliver results that wait on disk to MLflow; nothing is run: python sweeps/report.py deliver storage.root=outputs"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.errors import UserError

if TYPE_CHECKING:
    from sweeps.config import Settings
    from sweeps.reporting import Row, SweepRecord
    from sweeps.specs import Failure, Plan
    from sweeps.tracking import Tracker

_REPORT = {".csv", ".png", ".html"}
_PATIENCE_S = 120.0
"""Seconds for the first delivery, and for each later one."""
_HURRIED_S = 5.0


def deliver_all(root: Path, sweep: str | None = None, uri: str | None = None) -> int:
    """Deliver every sweep that is recorded under `root`, or the one named (its id, the beginning of it, or "latest").

    Args:
        root: storage.root.
        sweep: which; None: all.
        uri: tracking.uri; None: where the sweep itself delivers to.

    Returns:
        0 if nothing waits any more, 1 if something does, 2 if a sweep cannot be delivered at all; a line says why.

    Raises:
        UserError: nothing of that name is recorded.
    """
    from sweeps.reporting import load_record, recorded

    ids = [load_record(root, sweep).sweep_id] if sweep else recorded(root)
    return max(_told(root, one, uri) for one in ids)


def _told(root: Path, sweep: str, uri: str | None) -> int:
    from sweeps.redact import redact
    from sweeps.reporting import load_record

    try:
        return _deliver(root, load_record(root, sweep), uri)
    except UserError as error:
        print(f"error: sweep {sweep}: {redact(str(error))}", file=sys.stderr)
        return 2


def _deliver(root: Path, record: "SweepRecord", uri: str | None) -> int:
    from sweeps.plan import make_plan
    from sweeps.reporting import rows_of
    from sweeps.store import only_driver, open_store
    from sweeps.tracking import Tracker, Unreachable, check, prepare_environment, resolve

    settings = _settings(root, record, uri)
    plan = make_plan(settings)
    if plan.sweep_id != record.sweep_id:
        raise UserError(f"its data or this program have changed since it ran: run its command again ({record.command})")
    store = open_store(settings.storage)
    target = resolve(settings.tracking, root)
    try:
        prepare_environment()
        check(target)
    except Unreachable as error:
        print(f"sweep {record.sweep_id}: nothing is delivered, {target.shown} does not take results: {error}")
        return 1
    folder = root / "sweeps" / record.sweep_id
    with only_driver(folder):
        store.sync(record.keys, stopped=lambda: False)
        tracker = Tracker(settings, plan, store, settings.config, _tell, command=record.command)
        known = tracker.acknowledged
        waiting = _hand_over(tracker, record, plan, rows_of(record, store, plan), folder)
    new = len(tracker.run_ids.keys() - known.keys())
    print(f"sweep {record.sweep_id}: {new} delivered to {target.shown}, {len(known)} were there, {waiting} wait")
    return 1 if waiting else 0


def _settings(root: Path, record: "SweepRecord", uri: str | None) -> "Settings":
    """The settings that the sweep ran with, but storage.root and tracking.uri as they are named now."""
    from sweeps.config import override, settings_of
    from sweeps.config.compose import compose

    named = [override("storage.root", str(root)), *([override("tracking.uri", uri)] if uri else [])]
    settings = settings_of(compose([*record.overrides, *named]))
    if "***" in (settings.tracking.uri or ""):
        raise UserError("the password in its tracking.uri is not kept: name the address, tracking.uri=...")
    return settings


def _hand_over(tracker: "Tracker", record: "SweepRecord", plan: "Plan", rows: "list[Row]", folder: Path) -> int:
    """Deliver everything and end the sweep's run; returns how much still waits."""
    from sweeps.reporting import aggregates

    failures = _failures(record, plan)
    done = {row.work.key for row in rows}
    status = "FAILED" if failures else "FINISHED" if all(key in done for key in record.keys) else "KILLED"
    tracker.start()
    try:
        for row in rows:
            tracker.finished(row.work, row.result, row.cached)
        for failure in failures:
            tracker.failed(failure)
        before, waiting = sys.maxsize, tracker.flush(_PATIENCE_S)
        while 0 < waiting < before:  # it takes long, but it makes progress
            before, waiting = waiting, tracker.flush(_PATIENCE_S)
        return tracker.finish(status, _files(folder), aggregates(rows, failures, record.seconds), _PATIENCE_S)
    except BaseException:
        tracker.finish("KILLED", {}, {}, _HURRIED_S)
        raise


def _failures(record: "SweepRecord", plan: "Plan") -> "list[Failure]":
    from sweeps.specs import Failure

    works = {work.label: work for work in plan}
    return [Failure(works[note.label], note.status, note.reason) for note in record.failures if note.label in works]


def _files(folder: Path) -> Mapping[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.suffix in _REPORT}


def _tell(problem: str) -> None:
    print(f"tracking: {problem}", file=sys.stderr, flush=True)
