"""How the report's pictures look: colours, markers, grids, logarithmic axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweeps.reporting.comparisons import Comparison
from sweeps.reporting.figures.lines import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours without yellow, which vanishes on white; markers tell curves apart without any colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*X"
STROKES = ("-", "--", ":", "-.")


def style(line: Line, methods: Sequence[str]) -> dict[str, Any]:
    """How a line is drawn: colour and marker tell the method, the stroke which of its lines."""
    index = methods.index(line.method)
    colour = COLOURS[index % len(COLOURS)]
    filled = line.number % 2 == 0
    return {
        "color": colour,
        "marker": MARKERS[index % len(MARKERS)],
        "markerfacecolor": colour if filled else "white",
        "linestyle": STROKES[line.number % len(STROKES)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def tidy(axes: "Axes") -> None:
    """A light grid behind the data, no frame to the right and above."""
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def span(values: Sequence[float], low: float) -> tuple[float, float]:
    """(top, bottom) of a close-up of percentages: all of `values` with some margin, at least a point, from `low` on."""
    room = max(1.0, max(values) - min(values))
    return max(values) + 0.12 * room, max(low, max(values) - 1.15 * room)


def plain_ticks(axes: "Axes") -> None:
    """A logarithmic axis with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    class Ticks(LogLocator):
        def __call__(self) -> Any:  # the visible range is known only when it is drawn
            low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
            self.set_params(subs=(1, 2, 5) if high > 12 * low else (1, 1.5, 2, 3, 4, 5, 7))
            return super().__call__()

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(Ticks())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def methods_of(comparison: Comparison) -> list[str]:
    """In order of appearance, which is the order of colours."""
    return list(dict.fromkeys(group.method for group in comparison.points))
