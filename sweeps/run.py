"""The entry point: compose, plan, show, run, report.

    prune-sweep method=importance
    python -m sweeps.run method=importance
    python sweeps/run.py method=importance

Exit code 0: every planned trial is finished; 1: some are not, a table says which and why, or the last line what has
ended the sweep (a full disk, Ray lost); 2: a bad request, nothing was started; 130 or 143: ended by SIGINT or SIGTERM.
Imports happen where they are used, so that a plan is there in no time.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

if TYPE_CHECKING:
    from sweeps.config import Settings
    from sweeps.engine import Outcome
    from sweeps.process.signals import Signals
    from sweeps.reporting.profile import Phases
    from sweeps.reporting.results import Collector
    from sweeps.specs import Plan
    from sweeps.store import ResultStore
    from sweeps.tracking import Tracker

PIPED_WIDTH = 120
"""Columns of the tables where no terminal says how wide it is."""
HURRIED_S = 5.0
"""Seconds that the tracker gets where somebody waits for the process to end."""
HALTED_S = 10.0
"""The same where trouble has ended the sweep, which may be the tracker's as well."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit code."""
    from prune_core.errors import UserError
    from sweeps.process.signals import GO_ON, Signals

    signals = Signals()
    try:
        with signals:
            return _main(sys.argv[1:] if argv is None else argv, signals)
    except BaseException as error:  # whatever a signal has led to
        if signals.caught:
            print(f"interrupted: {GO_ON}", file=sys.stderr)
            return 128 + signals.caught
        if isinstance(error, UserError):
            from sweeps.plain_text import plain
            from sweeps.redact import redact

            print(f"error: {plain(redact(str(error)))}", file=sys.stderr)
            return 2
        raise


def command() -> NoReturn:
    """The process `prune-sweep`: `main`, and out."""
    from sweeps.process import surroundings

    surroundings.settle()
    code = main()
    ray = sys.modules.get("sweeps.engine.ray_session")
    # Somebody waits, and Python would take seconds to take Ray and MLflow apart; a Ray that was lost it cannot.
    if code > 128 or (ray is not None and ray.ray_was_left()):
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _main(arguments: Sequence[str], signals: "Signals") -> int:
    from sweeps.process import streams, surroundings
    from sweeps.terminal import command_line

    surroundings.require_current_folder()
    if arguments[:1] == ["submit"]:
        from sweeps import submit

        signals.patience_s = None  # the sweep is elsewhere, and somebody may be asked what shall become of it
        return submit.act(arguments[1:])
    request = command_line.read(arguments)
    if request.action == "help":
        return streams.show(command_line.text())
    from sweeps.config import settings_of
    from sweeps.config.compose import compose
    from sweeps.plan import make_plan

    composed = compose(request.overrides)
    if request.action == "print":
        from sweeps.redact import as_yaml

        return streams.show(as_yaml(composed.config), end="")
    settings = settings_of(composed)
    plan = make_plan(settings)
    if settings.dry_run:
        return show(settings, plan)
    if settings.compute.target is not None:
        from prune_core.errors import UserError

        raise UserError(
            f"compute={settings.compute.target} is submitted, not run here: write submit before the overrides, as in "
            f"prune-sweep submit compute={settings.compute.target}"
        )
    return _sweep(settings, plan, signals)


def show(settings: "Settings", plan: "Plan") -> int:
    """Print the plan; returns the exit code."""
    from sweeps.engine import room
    from sweeps.plain_text import plain
    from sweeps.process import streams
    from sweeps.store import open_store
    from sweeps.terminal import headline, outlook, plan_lines
    from sweeps.tracking import resolve

    store = open_store(settings.storage)
    ahead = outlook(plan, store)
    there = None if settings.compute.target else room(settings.compute)
    tracking = resolve(settings.tracking, store.root)
    lines = [*headline(plan, store.place, tracking.shown), *plan_lines(plan, ahead, there)]
    return streams.show(plain("\n".join(lines)))


def _sweep(settings: "Settings", plan: "Plan", signals: "Signals") -> int:
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


def _run(settings: "Settings", plan: "Plan", store: "ResultStore", signals: "Signals") -> int:
    from sweeps.engine import room, run_plan
    from sweeps.plain_text import plain
    from sweeps.process.signals import GO_ON
    from sweeps.reporting.profile import Phases
    from sweeps.reporting.results import Collector
    from sweeps.terminal import Progress, headline, outlook
    from sweeps.tracking import Tracker

    slots = 1
    is_work_left = outlook(plan, store).is_work_left
    if is_work_left:
        slots = room(settings.compute).slots
        if settings.compute.address is not None:
            from sweeps.cluster.preflight import check_joined

            check_joined(settings)
    tracker = Tracker(settings, plan, store, settings.config, problems=_warn)
    tracker.check()
    print(plain("\n".join(headline(plan, store.place, tracker.place.target.shown))), flush=True)
    phases = Phases()
    tracker.start()
    collector = Collector()
    _keep(settings, plan)
    try:
        with Progress(plan, slots) as progress:
            if is_work_left:
                progress.starting(slots)
            outcome = run_plan(plan, settings, store, [progress, tracker, collector, phases], signals=signals)
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


def _keep(settings: "Settings", plan: "Plan") -> None:
    """Note what is about to run, so that it can be drawn and delivered even if it is killed."""
    from prune_core.errors import UserError
    from prune_core.files import remove_partial
    from sweeps.reporting.record import RECORD_FILE, load
    from sweeps.reporting.redraw import keep

    folder = settings.storage.root / "sweeps" / plan.sweep_id
    remove_partial(folder)
    remove_partial(folder / "searches")
    try:
        load(settings.storage.root, plan.sweep_id)
    except UserError:  # there is none, or a damaged one
        keep(settings, plan)
    else:  # an earlier start knows more
        (folder / RECORD_FILE).touch()


def _warn(problem: str) -> None:
    from sweeps.plain_text import plain

    print(f"tracking: {plain(problem)}", file=sys.stderr, flush=True)


def _report(
    settings: "Settings", plan: "Plan", tracker: "Tracker", collector: "Collector", outcome: "Outcome", phases: "Phases"
) -> None:
    """Write the report's files, deliver them, and print what it all comes to."""
    from rich.console import Console

    from sweeps.reporting.files import write_files
    from sweeps.reporting.profile import profile, sentence
    from sweeps.reporting.results import aggregates
    from sweeps.terminal import show
    from sweeps.ui import default_target

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
        if not outcome.halted:  # by a full disk, which is said at the end
            print(f"report: {folder} cannot be written ({error.strerror})", file=sys.stderr)
    files |= _page(settings, plan, collector, phases, outcome.halted, draw=not (outcome.interrupted or outcome.halted))
    status = "KILLED" if outcome.interrupted else "FAILED" if failures or outcome.halted else "FINISHED"
    figures = aggregates(rows, failures, sum(phases.seconds.values())) | phases.metrics
    waiting = tracker.finish(status, files, figures, patience)
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, emoji=False)
    console.print(sentence(profile(rows, phases.seconds)), soft_wrap=True, highlight=False)
    show(console, plan, rows, failures, tracker.place, default_target(), folder, waiting)


def _page(
    settings: "Settings", plan: "Plan", collector: "Collector", phases: "Phases", halted: str, draw: bool
) -> "dict[str, Path]":
    """Keep what `sweeps/report.py` needs and draw report.html; that it cannot be drawn is said, and ends nothing."""
    from sweeps.reporting import redraw

    try:
        return redraw.first_time(settings, plan, collector.rows, collector.failures, phases.seconds, draw)
    except Exception as error:
        if halted:
            return {}
        print(
            f"report: report.html cannot be drawn ({type(error).__name__}: {error}): to see why, "
            f"python sweeps/report.py sweep={plan.sweep_id} {shlex.quote(f'storage.root={settings.storage.root}')}",
            file=sys.stderr,
        )
        return {}


if __name__ == "__main__":
    command()
