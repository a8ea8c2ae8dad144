"""Where the time of a sweep went, as bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeps.reporting.profile import Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES = {"workers": "steps of all work, seconds of the workers added up", "driver": "the last run, wall time"}


def time_figure(lines: Sequence[Line]) -> "Figure | None":
    """Seconds of every step and phase of `sweeps.reporting.profile.profile_of`; None where no time was measured."""
    from matplotlib.figure import Figure

    parts = {of: found for of in ("workers", "driver") if (found := [line for line in lines if line.of == of])}
    if not parts:
        return None
    height = 0.7 + 0.26 * max(map(len, parts.values()))
    figure = Figure(figsize=(11, height), layout="constrained")
    for axes, (of, found) in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        bars = axes.barh([line.step for line in found], [line.seconds for line in found], color="#0072B2")
        told = [f"{line.seconds:,.1f} s, {100 * line.share:.0f} %" for line in found]
        axes.bar_label(bars, told, padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.35 * max(line.seconds for line in found) or 1)
        axes.set_title(_TITLES[of], fontsize=10, loc="left")
        axes.set_xlabel("seconds", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
