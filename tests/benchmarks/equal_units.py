"""Two values of an axis at equal numbers of units: `python -m tests.benchmarks.equal_units <sweep>/results.csv start`.

Every seed has a curve of test accuracy over the hidden units left. The curves of the two values are compared at the
units that each point of the first one leaves; differences are paired by seed.
"""

import csv
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Curve = list[tuple[float, float]]
"""(units left, accuracy) of a seed's points, ascending."""


def compare(results: Path, axis: str) -> Iterator[str]:
    """Lines of a Markdown table: for each recovery and threshold the mean difference and its 95 % interval."""
    rows = [row for row in csv.DictReader(results.open(encoding="utf-8")) if row.get(axis)]
    first, second = sorted({row[axis] for row in rows}, reverse=True)
    curves = {value: _curves([row for row in rows if row[axis] == value]) for value in (first, second)}
    yield f"| recovery | threshold | seeds | units left | {first} minus {second}, points | 95 % interval |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    points = sorted({(row["recovery"], float(row["threshold"])) for row in rows})
    for recovery, threshold in points:
        places, differences = [], []
        for row in rows:
            if (row["recovery"], float(row["threshold"]), row[axis]) == (recovery, threshold, first):
                pair = [curves[value].get((recovery, row["seed"]), []) for value in (first, second)]
                if all(pair):
                    place = max(_units(row), *(curve[0][0] for curve in pair))
                    one, other = (float(np.interp(place, *zip(*curve, strict=True))) for curve in pair)
                    places.append(place)
                    differences.append(100 * (one - other))
        if len(differences) > 1:
            mean, half = statistics.mean(differences), _half_interval(differences)
            units = statistics.mean(places)
            yield (
                f"| {recovery} | {threshold:g} | {len(differences)} | {units:.0f} | {mean:+.3f} | "
                f"{mean - half:+.3f} to {mean + half:+.3f} |"
            )


def _curves(rows: list[dict[str, str]]) -> dict[tuple[str, str], Curve]:
    """{(recovery, seed): its curve}."""
    found: dict[tuple[str, str], Curve] = defaultdict(list)
    for row in rows:
        found[row["recovery"], row["seed"]].append((_units(row), float(row["accuracy"])))
    return {key: sorted(curve) for key, curve in found.items()}


def _units(row: Mapping[str, str]) -> float:
    return sum(float(row[name]) for name in row if name.startswith("units.") and name != "units.output")


def _half_interval(values: list[float]) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


if __name__ == "__main__":
    print("\n".join(compare(Path(sys.argv[1]), sys.argv[2])))
