"""The last lines of a sweep on the terminal: the best networks, failures, where the results are and how to see them."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.plain_text import plain
from sweeps.redact import redact
from sweeps.reporting import UNCHANGED, Choice, Group, Row, choices, groups, ranked
from sweeps.specs import BaselineSpec, Failure, Plan
from sweeps.tracking import Place, Target, sweep_link, trials_link, ui_base, ui_command

MOST_ROWS = 12
WIDE = 108
"""Terminal width that the tables need for all their figures; narrower tables leave some out and keep the method."""
_FIGURES = ("val. acc. %", "test acc. %", "drop, points", "sparsity %", "smaller", "faster")


def show_end(
    console: Console,
    plan: Plan,
    rows: Sequence[Row],
    failures: Sequence[Failure],
    place: Place,
    default: Target,
    folder: Path,
    waiting: int,
) -> None:
    """Print the end of a sweep.

    Args:
        console: where to; tables are as wide as it is.
        plan, rows, failures: what was asked for and how it went.
        place: of the sweep in MLflow (`Tracker.place`).
        default: what `make ui` serves (`sweeps.tracking.default_target`).
        folder: of the report's files.
        waiting: deliveries that MLflow has not taken (`Tracker.finish`).
    """
    points = groups(rows)
    for line in dense_lines(rows):
        console.print(Text(plain(line)), soft_wrap=True)
    if points:
        console.print(best_table(points, console.width))
        console.print(choice_table(choices(points), console.width))
    if failures:
        console.print(failure_table(failures))
    for line in _where(plan, place, default, folder, waiting):
        console.print(Text(line), soft_wrap=True)


def dense_lines(rows: Sequence[Row]) -> list[str]:
    """What the trials are compared with: each dense network, means over its seeds."""
    dense: dict[str, list[Row]] = {}
    for row in rows:
        if isinstance(row.work, BaselineSpec):
            dense.setdefault(row.work.title, []).append(row)
    lines = []
    for title, same in dense.items():
        figures = [row.result.metrics for row in same]
        validation, test = (100 * fmean(figure[name] for figure in figures) for name in ("val_accuracy", "accuracy"))
        lines.append(
            f"dense {title}: val. acc. {validation:.2f} %, test acc. {test:.2f} %, "
            f"{figures[0]['params_total']:,.0f} parameters, {figures[0]['size_bytes'] / 1e6:.2f} MB"
        )
    return lines


def best_table(points: Sequence[Group], width: int, most: int = MOST_ROWS) -> Table:
    """The trials, smallest first among those within a point of dense on validation, then by accuracy.

    Args:
        points: all of the sweep.
        width: columns of the terminal.
        most: rows; the others are counted.
    """
    networks = _networks(points)
    is_wide = _is_wide(width, networks)
    shown = _FIGURES if is_wide else tuple(name for name in _FIGURES if name != "drop, points")
    table = Table(title="trials: the smallest within 1 point of dense first, then by validation accuracy", box=None)
    table.title_justify = "left"
    table.add_column("method", overflow="fold")
    if is_wide and networks:
        table.add_column("network", no_wrap=True)
    _add_figures(table, [*["seeds"] * is_wide, *shown], is_wide)
    for group in ranked(points)[:most]:
        names = _names(group.label, networks.get((group.model, group.dataset)), is_wide)
        table.add_row(*names, *[_seeds(group)] * is_wide, *_figures(group, shown))
    if len(points) > most:
        table.caption = f"and {len(points) - most} more in results.csv"
        table.caption_justify = "left"
    return table


def choice_table(found: Sequence[Choice], width: int) -> Table:
    """The smallest network for each tolerance, chosen on the validation split, reported on the test split.

    Args:
        found: choices of all networks.
        width: columns of the terminal.
    """
    networks = _networks(found)
    is_wide = _is_wide(width, networks)
    shown = _FIGURES[1:] if is_wide else tuple(name for name in _FIGURES[1:] if name != "sparsity %")
    table = Table(title="\nsmallest network, chosen on validation, reported on test", box=None)
    table.title_justify = "left"
    table.add_column("may lose", no_wrap=True)
    table.add_column("method", overflow="fold")
    if is_wide and networks:
        table.add_column("network", no_wrap=True)
    _add_figures(table, shown, is_wide)
    for choice in found:
        lost = f"{100 * choice.tolerance:g} point{'s' * (choice.tolerance != 0.01)}" if choice.tolerance else "nothing"
        network = networks.get((choice.model, choice.dataset))
        if choice.group is None:
            table.add_row(lost, *_names("none", network, is_wide), *[""] * len(shown))
        else:
            table.add_row(lost, *_names(choice.group.label, network, is_wide), *_figures(choice.group, shown))
    return table


def _networks(items: Sequence[Group] | Sequence[Choice]) -> dict[tuple[str, str], str]:
    """{(model, dataset): the part of the names that differs}; empty if there is only one pair."""
    pairs = dict.fromkeys((item.model, item.dataset) for item in items)
    if len(pairs) < 2:
        return {}
    if len({dataset for _, dataset in pairs}) < 2:
        return {pair: pair[0] for pair in pairs}
    if len({model for model, _ in pairs}) < 2:
        return {pair: pair[1] for pair in pairs}
    return {pair: " on ".join(pair) for pair in pairs}


def _is_wide(width: int, networks: Mapping[tuple[str, str], str]) -> bool:
    return width >= WIDE + max((len(name) + 2 for name in networks.values()), default=0)


def _names(method: str, network: str | None, is_wide: bool) -> list[Text]:
    """Method and network in two columns, or in one where the terminal is narrow."""
    parts = [method, *filter(None, [network])]
    return [Text(plain(part)) for part in (parts if is_wide else [", ".join(parts)])]


def failure_table(failures: Sequence[Failure], most: int = MOST_ROWS) -> Table:
    """Work without a result, and why: failed work first, then the work that it blocked."""
    table = Table(title=f"\n{len(failures)} without a result", box=None)
    table.title_justify = "left"
    for name in ("status", "work", "tries", "why"):
        table.add_column(name, overflow="fold")
    ordered = sorted(failures, key=lambda failure: failure.status == "blocked")
    for failure in ordered[:most]:
        why = (plain(redact(failure.reason)).splitlines() or [""])[0]
        table.add_row(failure.status, Text(plain(failure.work.label)), str(failure.attempts), Text(why))
    if len(failures) > most:
        table.caption = f"and {len(failures) - most} more in failures.csv"
        table.caption_justify = "left"
    return table


def _where(plan: Plan, place: Place, default: Target, folder: Path, waiting: int) -> list[str]:
    page = folder / "report.html"
    lines = ["", f"report: {page if page.is_file() else folder}"]
    if waiting:
        words = ("deliver", f"sweep={plan.sweep_id}", f"storage.root={folder.parents[1]}")
        lines.append(
            f"{waiting} deliveries to {place.target.shown} wait on disk: deliver them with "
            f"{shlex.join(['python', 'sweeps/report.py', *words])}"
        )
    command = ui_command(place.target, default)
    if command:
        lines.append(f"look at it: {command}")
    if place.parent_id:
        base = ui_base(place.target)
        lines.append(f"  trials: {trials_link(base, place.experiment_id, plan.sweep_id)}")
        lines.append(f"  sweep:  {sweep_link(base, place)}")
    return lines


def _seeds(group: Group) -> str:
    return ",".join(map(str, group.seeds)) if len(group.seeds) <= 3 else f"{len(group.seeds)} seeds"


def _add_figures(table: Table, names: Sequence[str], is_wide: bool) -> None:
    for name in names:
        table.add_column(name if is_wide else name.replace(" ", "\n", 1), justify="right", no_wrap=True)


def _figures(group: Group, names: Sequence[str]) -> list[str]:
    """The figures that columns show, "" for the unknown."""
    told = {
        "val. acc. %": _percent(group, "val_accuracy"),
        "test acc. %": _percent(group, "accuracy"),
        "drop, points": _percent(group, "accuracy_drop", signed=True),
        "sparsity %": "" if (value := group.mean("sparsity")) is None else f"{100 * value:.1f}",
        "smaller": _ratio(group, "compression_ratio"),
        "faster": _ratio(group, "speedup") if group.is_shrunk else UNCHANGED,
    }
    return [told[name] for name in names]


def _ratio(group: Group, metric: str) -> str:
    return "" if (value := group.mean(metric)) is None else f"{value:.1f}x"


def _percent(group: Group, metric: str, signed: bool = False) -> str:
    value, spread = group.mean(metric), group.spread(metric)
    if value is None:
        return ""
    # The drop is a loss: +1.20 means 1.2 points worse than dense.
    text = f"{100 * value:+z.2f}" if signed else f"{100 * value:.2f}"
    return text if spread is None or signed else f"{text}±{100 * spread:.2f}"
