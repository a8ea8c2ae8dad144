"""Draw a sweep's report: when it ends, and again with python sweeps/report.py sweep=latest storage.root=outputs"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.config import folder, one_of
from sweeps.process import streams
from sweeps.process.surroundings import require_current_folder

if TYPE_CHECKING:
    from sweeps.config import Settings
    from sweeps.reporting.record import SweepRecord
    from sweeps.reporting.results import Row
    from sweeps.specs import Failure, Plan

USAGE = """\
usage: python sweeps/report.py [sweep=latest] [storage.root=outputs] [format=html | format=markdown]
       python sweeps/report.py deliver [sweep=latest] [storage.root=outputs] [tracking.uri=...]

sweep=latest, sweep=<id or its beginning>, or sweep=<folder of the sweep>, which stands for storage.root as well.

Draws report.html of a sweep again, from its results in storage.root: finished trials are read, nothing is run.
With format=markdown its main tables are printed instead, for a README.

deliver: what waits there because MLflow could not be reached is delivered, of all sweeps or of the one that is named.
Exit code 0 if nothing waits any more, 1 if something does."""
_KEYS = {"sweep": "latest", "storage.root": "outputs", "format": "html"}
_KEYS_TO_DELIVER = {"sweep": "", "storage.root": "outputs", "tracking.uri": ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0; 1 if something still waits; 2 for a bad request)."""
    arguments = sys.argv[1:] if argv is None else argv
    if set(arguments) & {"-h", "--help"}:
        return streams.show(USAGE)
    try:
        require_current_folder()
        if arguments[:1] == ["deliver"]:
            return _deliver(_read(arguments[1:], _KEYS_TO_DELIVER))
        asked = _read(arguments, _KEYS)
        one_of("format", asked["format"], list(FORMATS))
        return streams.show(FORMATS[asked["format"]](folder("storage.root", asked["storage.root"]), asked["sweep"]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command again goes on", file=sys.stderr)
        return 130


def _deliver(asked: Mapping[str, str]) -> int:
    from sweeps.deliver import deliver_all

    return deliver_all(
        folder("storage.root", asked["storage.root"]), asked["sweep"] or None, asked["tracking.uri"] or None
    )


def redraw(root: Path, sweep: str) -> Path:
    """Draw the report of a sweep (id, its beginning, or "latest") under `root`; returns the page.

    Raises:
        UserError: there is no such sweep, or its record is damaged.
    """
    from sweeps.reporting.main_pictures import write_pictures
    from sweeps.reporting.page import write_page
    from sweeps.reporting.record import load, rows_of
    from sweeps.store import ResultStore

    record = load(root, sweep)
    store = ResultStore(root)
    rows = rows_of(record, store)
    where = root / "sweeps" / record.sweep_id
    write_pictures(rows, where, record.reference)
    return write_page(where, record, rows, store)


def tables(root: Path, sweep: str) -> str:
    """The main tables of a sweep as Markdown; arguments and errors as `redraw`."""
    from sweeps.reporting.markdown import as_markdown
    from sweeps.reporting.record import load, rows_of
    from sweeps.store import ResultStore

    record = load(root, sweep)
    return as_markdown(record, rows_of(record, ResultStore(root)))


FORMATS = {"html": redraw, "markdown": tables}


def keep(
    settings: "Settings",
    plan: "Plan",
    rows: "Sequence[Row]" = (),
    failures: "Sequence[Failure]" = (),
    phases: "Mapping[str, float] | None" = None,
) -> "SweepRecord":
    """Write the record of a sweep: without the rest when it begins, so that it can be drawn whatever ends it.

    Args:
        settings, plan: what was asked for.
        rows, failures: how it went.
        phases: {phase: seconds of wall time} (`sweeps.reporting.profile.Phases`); None: nothing has taken any.
    """
    from sweeps.reporting.record import SweepRecord, keys_of, note, save
    from sweeps.tracking import sweep_name
    from sweeps.tracking.provenance import provenance

    record = SweepRecord(
        sweep_id=plan.sweep_id,
        name=sweep_name(plan),
        command=shlex.join(["python", "sweeps/run.py", *sys.argv[1:]]),
        keys=keys_of(list(plan), rows),
        config=settings.config,
        provenance=provenance(),
        cached=tuple(row.work.key for row in rows if row.cached),
        failures=tuple(map(note, failures)),
        seconds=sum((phases or {}).values()),
        phases=phases or {},
    )
    save(settings.storage.root / "sweeps" / plan.sweep_id, record)
    return record


def first_time(
    settings: "Settings",
    plan: "Plan",
    rows: "Sequence[Row]",
    failures: "Sequence[Failure]",
    phases: "Mapping[str, float]",
    draw: bool = True,
) -> dict[str, Path]:
    """Keep the record of a sweep that has just ended and draw its page; returns {name: file} for the sweep's run.

    Args:
        settings, plan, rows, failures, phases: as `keep`.
        draw: whether the page is drawn; without it the record alone is kept, for somebody in a hurry.
    """
    from sweeps.reporting.page import write_page
    from sweeps.store import ResultStore

    record = keep(settings, plan, rows, failures, phases)
    if not draw:
        return {}
    root = settings.storage.root
    page = write_page(root / "sweeps" / plan.sweep_id, record, rows, ResultStore(root))
    return {page.name: page}


def _read(arguments: Sequence[str], keys: Mapping[str, str]) -> dict[str, str]:
    asked = dict(keys)
    for argument in arguments:
        key, given, value = argument.partition("=")
        if key not in keys or not given:
            raise UserError(f"{argument!r} is not understood: {closest(key, keys)}, as in sweep=latest")
        asked[key] = value
    from sweeps.reporting.record import RECORD_FILE

    named = Path(asked["sweep"]).resolve()
    if asked["sweep"] and (named / RECORD_FILE).is_file():  # the folder of a sweep, as it prints it
        asked |= {"sweep": named.name, "storage.root": str(named.parents[1])}
    return asked
