"""One sweep from its first line to its last: store, tracker, engine, report."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.config.settings import Settings
from sweeps.specs import Plan

if TYPE_CHECKING:
    from sweeps.engine import Listener, Outcome, Phases
    from sweeps.machines import Room
    from sweeps.process import Signals
    from sweeps.reporting import Collector
    from sweeps.store import ResultStore
    from sweeps.tracking import Tracker

PIPED_WIDTH = 120
"""Width of the tables, in columns, where there is no terminal that tells its width."""
HURRIED_S = 5.0
"""Seconds that the tracker gets while a person waits for the process to end."""
HALTED_S = 10.0
"""The same where an error has ended the sweep; the tracker may have the same problem."""


def run_sweep(settings: Settings, plan: Plan, signals: "Signals") -> int:
    """Run the missing work of a plan and report it; returns the exit code (see `sweeps.run`).

    Args:
        settings, plan: what was asked for.
        signals: a context that is already entered.

    Raises:
        UserError: nothing was started: another driver runs the same sweep, a trial asks for more than any machine has,
            a cluster or the tracking server does not answer.
    """
    from sweeps.store import only_driver, open_store

    store = open_store(settings.storage)
    store.prepare()
    try:
        with only_driver(store.root / "sweeps" / plan.sweep_id):
            return _run(settings, plan, store, signals)
    except Exception as error:
        full = store.full(error)
        if full is None:
            raise
        print(f"error: {full}", file=sys.stderr)
        return 1


def _run(settings: Settings, plan: Plan, store: "ResultStore", signals: "Signals") -> int:
    from sweeps.engine import Phases, run_plan
    from sweeps.plain_text import plain
    from sweeps.plan import missing_of
    from sweeps.process import GO_ON
    from sweeps.reporting import Collector
    from sweeps.terminal import Progress, headline
    from sweeps.tracking import Tracker

    room = _room(settings) if missing_of(plan, store).is_work_left else None
    tracker = Tracker(settings, plan, store, settings.config, problems=_warn, command=settings.command)
    tracker.check()
    print(plain("\n".join(headline(plan, store.place, tracker.place.target.shown))), flush=True)
    phases = Phases()
    tracker.start()
    collector = Collector()
    _keep(settings, plan)
    try:
        with Progress(plan, room.slots if room else 1) as progress:
            if room:
                progress.starting(room.slots)
            listeners: list[Listener] = [progress, tracker, collector, phases]
            outcome = run_plan(plan, settings, store, listeners, signals=signals, room=room)
        phases.stopped()
        _report(settings, plan, tracker, collector, outcome, phases)
    except BaseException:
        status = "KILLED" if signals.caught else "FAILED"
        tracker.finish(status, {}, {}, min(settings.tracking.flush_timeout_s, HURRIED_S))
        raise
    if outcome.interrupted:
        print(f"interrupted: {GO_ON}", file=sys.stderr)
        return 128 + outcome.interrupted
    if outcome.halted:
        print(f"error: {plain(outcome.halted)}", file=sys.stderr)
        return 1
    return 1 if outcome.failures else 0


def _room(settings: Settings) -> "Room":
    """How much fits at once. Raises UserError, also for a cluster whose other machines cannot reach the tracking."""
    from sweeps.machines import other_machines, room_of
    from sweeps.tracking import check_shared

    room, address = room_of(settings.compute), settings.compute.address
    if address is not None and other_machines(address, room.addresses):
        check_shared(settings.tracking, settings.storage.root)
    return room


def _keep(settings: Settings, plan: Plan) -> None:
    """Note what is about to run, so that it can be drawn and delivered even if it is killed."""
    from prune_core.errors import UserError
    from prune_core.files import remove_partial
    from sweeps.reporting import RECORD_FILE, keep_record, load_record

    folder = settings.storage.root / "sweeps" / plan.sweep_id
    remove_partial(folder)
    remove_partial(folder / "searches")
    try:
        load_record(settings.storage.root, plan.sweep_id)
    except UserError:  # it is not there, or damaged
        keep_record(settings, plan)
    else:  # the record of an earlier start says more
        (folder / RECORD_FILE).touch()


def _warn(problem: str) -> None:
    from sweeps.plain_text import plain

    print(f"tracking: {plain(problem)}", file=sys.stderr, flush=True)


def _report(
    settings: Settings, plan: Plan, tracker: "Tracker", collector: "Collector", outcome: "Outcome", phases: "Phases"
) -> None:
    """Write the report's files, deliver them, and print the results."""
    from rich.console import Console

    from sweeps.reporting import aggregates, profile_of, sentence, write_files
    from sweeps.terminal import show_end
    from sweeps.tracking import default_target

    patience = settings.tracking.flush_timeout_s
    if outcome.interrupted or outcome.halted:
        patience = min(patience, HURRIED_S if outcome.interrupted else HALTED_S)
    phases.enter("deliver")
    tracker.flush(patience)
    phases.enter("report")
    rows, failures = collector.rows, collector.failures
    folder = settings.storage.root / "sweeps" / plan.sweep_id
    files: dict[str, Path] = {}
    try:
        files |= write_files(folder, plan, rows, failures, tracker.run_ids, settings.reference)
    except OSError as error:
        if not outcome.halted:  # a full disk is reported at the end
            print(f"report: {folder} cannot be written ({error.strerror})", file=sys.stderr)
    files |= _page(settings, plan, collector, phases, outcome.halted, draw=not (outcome.interrupted or outcome.halted))
    status = "KILLED" if outcome.interrupted else "FAILED" if failures or outcome.halted else "FINISHED"
    figures = aggregates(rows, failures, sum(phases.seconds.values())) | phases.metrics
    waiting = tracker.finish(status, files, figures, patience)
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, emoji=False)
    console.print(sentence(profile_of(rows, phases.seconds)), soft_wrap=True, highlight=False)
    show_end(console, plan, rows, failures, tracker.place, default_target(), folder, waiting)


def _page(
    settings: Settings, plan: Plan, collector: "Collector", phases: "Phases", halted: str, draw: bool
) -> "dict[str, Path]":
    """Keep what `sweeps/report.py` needs and draw report.html. If the page cannot be drawn, a sentence says so."""
    from sweeps.reporting import first_time

    try:
        return first_time(settings, plan, collector.rows, collector.failures, phases.seconds, draw)
    except Exception as error:
        if halted:
            return {}
        print(
            f"report: report.html cannot be drawn ({type(error).__name__}: {error}): to see why, "
            f"python sweeps/report.py sweep={plan.sweep_id} {shlex.quote(f'storage.root={settings.storage.root}')}",
            file=sys.stderr,
        )
        return {}
