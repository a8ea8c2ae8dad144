"""(c) Three methods on one dense network, trained once by the sweep, against training it in each trial."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.sweep_costs import in_fresh_process, service

POINTS = {"weight": "sparsity=[0.8]", "unit": "sparsity=[0.5]", "importance": "threshold=[0.5]"}
COMMON = ["model=mlp_1000_1000_500_200", "training=default", "training.epochs=30"]


def measure() -> dict:
    """The loop trains and prunes three times in one process; the sweep's time includes all of its set-up."""
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        points = {name: f"methods.{name}.grid.{point}" for name, point in POINTS.items()}
        separate = sum(
            in_fresh_process(
                "sweep_costs:plain_loop",
                [f"method={name}", point, *COMMON],
                str(Path(folder) / name),
                "baseline",
                "trial",
            )
            for name, point in points.items()
        )
        sweep = [f"method=[{','.join(points)}]", *points.values(), *COMMON]
        together = service(sweep, str(Path(folder) / "sweep"))
    return {
        "name": "shared_baseline",
        "ratio": separate / together,
        "target": {"at_least": 1},
        "training in each trial s": separate,
        "sweep s": together,
    }
