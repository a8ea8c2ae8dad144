"""The main pictures of a sweep as PNG files, which MLflow shows as they are."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.config import Reference
from sweeps.reporting.comparisons import Comparison, comparisons_of
from sweeps.reporting.figures.by_layer import allocation_figure, sensitivity_figure
from sweeps.reporting.figures.comparison import layers_figure, pareto_figure, values_figure
from sweeps.reporting.figures.curves import accuracy_figure
from sweeps.reporting.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES: "dict[str, Callable[[Comparison], Figure | None]]" = {
    "accuracy_vs_sparsity": accuracy_figure,
    "pareto_front": pareto_figure,
    "layers": layers_figure,
    "distinct_values": values_figure,
    "sensitivity": sensitivity_figure,
    "allocation": allocation_figure,
}
"""{name of the file: what draws it}; None where a sweep has nothing for it."""


def write_pictures(rows: Sequence[Row], folder: Path, reference: Reference | None = None) -> list[Path]:
    """`PICTURES` as PNG for every network and dataset of `rows` that has trials, named where there are several.

    Returns:
        The files.
    """
    found = comparisons_of(rows, reference)
    files = []
    for comparison in found:
        of = f"_{comparison.model}_{comparison.dataset}" if len(found) > 1 else ""
        for name, draw in PICTURES.items():
            figure = draw(comparison)
            if figure is not None:
                files.append(folder / (re.sub(r"[^\w.-]", "_", name + of) + ".png"))
                figure.savefig(files[-1], dpi=110)
    return files
