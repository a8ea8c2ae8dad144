"""Keep the record of a sweep, and draw its report: when the sweep ends, and again later from the record."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.config.settings import Settings
from sweeps.reporting.record import SweepRecord, keys_of, load_record, note, rows_of, save_record
from sweeps.reporting.results import Row
from sweeps.specs import Failure, Plan
from sweeps.store import ResultStore
from sweeps.tracking import sweep_name
from sweeps.tracking.provenance import provenance


def draw_again(root: Path, sweep: str) -> Path:
    """Draw the report of a sweep (id, its beginning, or "latest") under `root`; returns the page.

    Raises:
        UserError: there is no such sweep, or its record is damaged.
    """
    from sweeps.reporting.main_pictures import write_pictures
    from sweeps.reporting.page import write_page

    record = load_record(root, sweep)
    store = ResultStore(root)
    rows = rows_of(record, store)
    where = root / "sweeps" / record.sweep_id
    write_pictures(rows, where, record.reference)
    return write_page(where, record, rows, store)


def markdown_tables(root: Path, sweep: str) -> str:
    """The main tables of a sweep as Markdown; arguments and errors as `draw_again`."""
    from sweeps.reporting.markdown import as_markdown

    record = load_record(root, sweep)
    return as_markdown(record, rows_of(record, ResultStore(root)))


def keep_record(
    settings: Settings,
    plan: Plan,
    rows: Sequence[Row] = (),
    failures: Sequence[Failure] = (),
    phases: Mapping[str, float] | None = None,
) -> SweepRecord:
    """Write the record of a sweep. It is written when the sweep begins, too, so that a killed sweep can be drawn.

    Args:
        settings, plan: what was asked for.
        rows, failures: how it went.
        phases: {phase: seconds of wall time} (`sweeps.engine.Phases`); None: no time was measured.
    """
    record = SweepRecord(
        sweep_id=plan.sweep_id,
        name=sweep_name(plan),
        command=settings.command,
        keys=keys_of(list(plan), rows),
        config=settings.config,
        provenance=provenance(),
        cached=tuple(row.work.key for row in rows if row.cached),
        failures=tuple(map(note, failures)),
        seconds=sum((phases or {}).values()),
        phases=phases or {},
        overrides=settings.overrides,
    )
    save_record(settings.storage.root / "sweeps" / plan.sweep_id, record)
    return record


def first_time(
    settings: Settings,
    plan: Plan,
    rows: Sequence[Row],
    failures: Sequence[Failure],
    phases: Mapping[str, float],
    draw: bool = True,
) -> dict[str, Path]:
    """Keep the record of a sweep that has just ended and draw its page; returns {name: file} for the sweep's run.

    Args:
        settings, plan, rows, failures, phases: as `keep_record`.
        draw: whether the page is drawn; if not, only the record is kept, which is faster.
    """
    from sweeps.reporting.page import write_page

    record = keep_record(settings, plan, rows, failures, phases)
    if not draw:
        return {}
    root = settings.storage.root
    page = write_page(root / "sweeps" / plan.sweep_id, record, rows, ResultStore(root))
    return {page.name: page}
