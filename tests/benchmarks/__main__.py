"""`make bench`: run the measurements, one process each, and print their ratios with the raw figures beside them.

`make bench ARGS="kmeans post_training"` runs those two, `ARGS=bookkeeping_10000` one of a quarter of an hour.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Measurement:
    """A function `measure(*arguments)` of a module of this package; `on_request`: only run by its name."""

    title: str
    module: str
    arguments: tuple[float, ...] = ()
    on_request: bool = False


MEASUREMENTS = {
    "post_training": Measurement("(a) 40-trial sweep / plain loop", "post_training"),
    "naive_tune": Measurement("(b) Tune script with MLflowLoggerCallback / sweep", "naive_tune"),
    "shared_baseline": Measurement("(c) training in each trial / one shared baseline", "shared_baseline"),
    "importance_cost": Measurement("(d) importance scoring / one training epoch", "importance_cost"),
    "kmeans": Measurement("(e) scikit-learn KMeans / ours, 1M weights, k=256", "kmeans"),
    "bookkeeping": Measurement("(f) 1,000 sleeping trials, 16 at once / their sleep", "bookkeeping"),
    "bookkeeping_100": Measurement("(f) with 100 trials", "bookkeeping", (100, 1.05), on_request=True),
    "bookkeeping_10000": Measurement("(f) with 10,000 trials", "bookkeeping", (10_000, 1.08), on_request=True),
    "scale": Measurement("(h) driver's CPU a trial, up to 4,000 simulated workers / 16", "scale", on_request=True),
    "durability": Measurement("(i) results committed and delivered with / without waiting for the disk", "durability"),
    "planning": Measurement("(g) planning 100,000 trials / hashing them", "planning"),
}


def run(measurement: Measurement) -> dict:
    """One measurement in a process of its own, so that none warms up the next."""
    call = f"tests.benchmarks.{measurement.module} as m; print('\\n@' + json.dumps(m.measure{measurement.arguments}))"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", f"import json, {call}"]
    process = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if process.returncode:  # what libraries say on the way is of interest only then
        sys.exit(f"{measurement.title} failed:\n{process.stderr}")
    return json.loads(process.stdout.rpartition("\n@")[2])


def main(names: list[str]) -> int:
    """Print a table; exit code 1 if a target is missed, 2 for an unknown name."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"error: unknown benchmark {unknown[0]!r}: known: {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    table = Table("measurement", "ratio", "target", "met", "raw figures")
    missed = 0
    for name in names or [name for name, measurement in MEASUREMENTS.items() if not measurement.on_request]:
        print(f"measuring {name} ...", flush=True)
        figures = run(MEASUREMENTS[name])
        ratio, target = figures.pop("ratio"), figures.pop("target")
        figures.pop("name", None)
        met = ratio <= target["at_most"] if "at_most" in target else ratio >= target["at_least"]
        missed += not met
        sign = "<=" if "at_most" in target else ">="
        raw = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items()
        )
        goal = f"{sign} {next(iter(target.values()))}"
        table.add_row(MEASUREMENTS[name].title, f"{ratio:.2f}", goal, "yes" if met else "NO", raw)
    Console(width=160 if not sys.stdout.isatty() else None).print(table)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
