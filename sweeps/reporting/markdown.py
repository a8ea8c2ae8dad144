"""The tables of a sweep as Markdown, for a README: published numbers beside ours, choices, what layers tolerate."""

import shlex
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from sweeps.reporting.comparisons import Comparison, comparisons_of
from sweeps.reporting.layer_tables import allocation_table, sensitivity_table
from sweeps.reporting.record import SweepRecord
from sweeps.reporting.results import Row
from sweeps.reporting.tables import choice_table, published_table
from sweeps.specs import BaselineSpec, format_value

TABLES = (published_table, choice_table, sensitivity_table, allocation_table)


def as_markdown(record: SweepRecord, rows: Sequence[Row]) -> str:
    """What was run, and for every network and dataset the tables of the report that a reader wants first."""
    parts = [f"`{_command(record)}`"]
    for comparison in comparisons_of(rows, record.reference):
        parts.append(f"**{comparison.title}**, {_seeds(comparison, rows)}")
        parts += [markdown_of(html) for html in (table(comparison) for table in TABLES) if html]
    return "\n\n".join(parts) + "\n"


def markdown_of(html: str) -> str:
    """A table of `sweeps.reporting.markup` as Markdown; columns of numbers are aligned right."""
    read = _TableReader()
    read.feed(html)
    return "\n".join(read.lines())


def _command(record: SweepRecord) -> str:
    """The command without words that concern one machine and do not change results."""
    arguments = shlex.split(record.command)
    return shlex.join(a for a in arguments if a.partition(".")[0] not in ("storage", "compute", "tracking"))


def _seeds(comparison: Comparison, rows: Sequence[Row]) -> str:
    works = [row.work for row in rows if isinstance(row.work, BaselineSpec)]
    seeds = sorted(work.seed for work in works if (work.model, work.dataset) == (comparison.model, comparison.dataset))
    return f"seed{'s' * (len(seeds) != 1)} {format_value(seeds).strip('[]').replace(',', ', ')}"


class _TableReader(HTMLParser):
    """Reads caption, cells and alignment of one table."""

    def __init__(self) -> None:
        super().__init__()
        self._caption = ""
        self._rows: list[list[str]] = []
        self._is_number: list[bool] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._rows.append([])
        if tag in ("th", "td"):
            self._rows[-1].append("")
        if tag == "th":
            self._is_number.append(("class", "n") in attrs)
        if tag in ("th", "td", "caption"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "caption":
            self._caption += data
        elif self._inside:
            self._rows[-1][-1] += data.replace("|", "\\|")

    def lines(self) -> Iterator[str]:
        if self._caption:
            yield from (self._caption, "")
        rules = ["---:" if is_number else "---" for is_number in self._is_number]
        head, *body = self._rows
        yield from (f"| {' | '.join(cells)} |" for cells in (head, rules, *body))
