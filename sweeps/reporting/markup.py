"""The little HTML that a report needs: escaped text, tables, figures inside the page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; --ink: #1c2330; --soft: #5b6472; --line: #e2e5ea; --fill: #f6f7f9; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.6rem 1.4rem 4rem; max-width: 1120px; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .8rem;
  border-top: 2px solid var(--line); } h3 { font-size: 1.02rem; margin: 1.8rem 0 .4rem; }
p { margin: .4rem 0; max-width: 92ch; } li { margin: .35rem 0; max-width: 92ch; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
nav { margin: .8rem 0; } nav a { margin-right: 1.1rem; } a { color: var(--blue); }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.tile { background: var(--fill); border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem;
  flex: 1 1 150px; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.2; } .tile span { color: var(--soft); font-size: .85rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: .88rem; }
caption { text-align: left; padding-bottom: .3rem; caption-side: top; }
th, td { padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } td.n, th.n { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
table.sortable th { cursor: pointer; } table.sortable th[aria-sort=ascending]::after { content: " \\25B4"; }
table.sortable th[aria-sort=descending]::after { content: " \\25BE"; }
figure { margin: .6rem 0 1.2rem; } figure img { width: 100%; height: auto; display: block; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--blue); }
pre { background: var(--fill); border: 1px solid var(--line); border-radius: 6px; padding: .7rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .8rem; line-height: 1.4; } .bad { border-left: 4px solid #d55e00; padding-left: .8rem; }
@media print { details { display: block; } body { max-width: none; } }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b), n = Number(x) - Number(y);
      if (x === "" || y === "") return (x === "") - (y === "");
      return (down ? -1 : 1) * (Number.isNaN(n) ? x.localeCompare(y) : n);
    });
    body.append(...rows);
  }));
}
"""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: as shown.
        value: what to sort by, if it is a number.
    """

    text: str
    value: float | None = None
    is_number: bool = False


def number(value: float | None, form: str = "{:.2f}", spread: float | None = None) -> Cell:
    """A number in a column of numbers, with its standard deviation if there is one; empty if unknown."""
    if value is None:
        return Cell("", None, True)
    text = form.format(value)
    if not text.strip("-0.,"):  # zero has no sign
        text = form.format(0.0)
    return Cell(text if spread is None else f"{text} ± {form.replace(':+', ':').format(spread)}", value, True)


def text(value: object) -> str:
    """Text in which a browser sees no markup."""
    return escape(str(value))


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell | str]], caption: str = "", sortable: bool = False) -> str:
    """A table; a column of numbers is one whose first row has a number there."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    numeric = [cell.is_number for cell in cells[0]] if cells else [False] * len(heads)
    head = "".join(f'<th{_class(n)} scope="col">{text(name)}</th>' for name, n in zip(heads, numeric, strict=True))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in cells)
    told = f"<caption>{text(caption)}</caption>" if caption else ""
    kind = ' class="sortable"' if sortable else ""
    return f'<div class="wide"><table{kind}>{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(figure: "Figure | None", says: str, caption: str = "", dots: bool = False) -> str:
    """A figure inside the page; empty for None.

    Args:
        figure: to draw.
        says: the text for a person who cannot see it.
        caption: below it.
        dots: as PNG, for pictures of many points or pixels; else as SVG.
    """
    if figure is None:
        return ""
    import matplotlib

    kind = "png" if dots else "svg"
    drawn = io.BytesIO()
    # Text stays text, and there is no date: the same sweep makes the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(drawn, format=kind, dpi=130, metadata=None if dots else {"Date": None})
    media = "image/png" if dots else "image/svg+xml"
    data = base64.b64encode(drawn.getvalue()).decode()
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(says, quote=True)}" src="data:{media};base64,{data}">{below}</figure>'


def details(summary: str, content: str) -> str:
    """Content that is hidden until a person opens it."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def page(title: str, body: str) -> str:
    """A whole document that loads nothing from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>{body}<script>{SCRIPT}</script></body></html>\n"
    )


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-v="{cell.value!r}"'
    return f"<td{_class(cell.is_number)}{value}>{text(cell.text)}</td>"


def _class(is_number: bool) -> str:
    return ' class="n"' if is_number else ""
