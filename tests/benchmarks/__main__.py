"""`make bench`: run the measurements, one process each, and print their ratios with the raw figures beside them.

`make bench ARGS="kmeans post_training"` runs those two.
"""

import json
import os
import subprocess
import sys

from rich.console import Console
from rich.table import Table

MEASUREMENTS = {
    "post_training": "(a) 40-trial sweep / plain loop",
    "naive_tune": "(b) Tune script with MLflowLoggerCallback / sweep",
    "shared_baseline": "(c) training in each trial / one shared baseline",
    "importance_cost": "(d) importance scoring / one training epoch",
    "kmeans": "(e) scikit-learn KMeans / ours, 1M weights, k=256",
}


def run(name: str) -> dict:
    """One measurement in a process of its own, so that none warms up the next."""
    code = f"import json, tests.benchmarks.{name} as m; print('\\n@' + json.dumps(m.measure()))"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=quiet, check=False)
    if process.returncode:  # what libraries say on the way is of interest only then
        sys.exit(f"{name} failed:\n{process.stderr}")
    return json.loads(process.stdout.rpartition("\n@")[2])


def main(names: list[str]) -> int:
    """Print a table; exit code 1 if a target is missed, 2 for an unknown name."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"error: unknown benchmark {unknown[0]!r}: known: {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    table = Table("measurement", "ratio", "target", "met", "raw figures")
    missed = 0
    for name in names or MEASUREMENTS:
        print(f"measuring {name} ...", flush=True)
        figures = run(name)
        ratio, target = figures.pop("ratio"), figures.pop("target")
        figures.pop("name", None)
        met = ratio <= target["at_most"] if "at_most" in target else ratio >= target["at_least"]
        missed += not met
        sign = "<=" if "at_most" in target else ">="
        raw = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items()
        )
        table.add_row(
            MEASUREMENTS[name], f"{ratio:.2f}", f"{sign} {next(iter(target.values()))}", "yes" if met else "NO", raw
        )
    Console(width=160 if not sys.stdout.isatty() else None).print(table)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
