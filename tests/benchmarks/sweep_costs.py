"""What the sweep benchmarks share: a storage folder with trained baselines, plain loops, and the service itself."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sweeps.compose import compose
from sweeps.plan import make_plan
from sweeps.schema import read_settings
from sweeps.specs import Plan
from sweeps.store import ResultStore


def plan_of(overrides: Sequence[str]) -> Plan:
    """The plan of a command line."""
    return make_plan(read_settings(compose(overrides)))


@contextmanager
def storage() -> Iterator[Path]:
    """A folder for results that is gone afterwards."""
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        yield Path(folder)


def plain_loop(overrides: Sequence[str], root: Path, kinds: Sequence[str]) -> float:
    """Seconds of doing the plan's work of these kinds one after the other in this process, imports and data not counted."""
    from prune_core.data import load
    from sweeps.trial import run

    plan = plan_of(overrides)
    store = ResultStore(root)
    store.prepare()
    first = plan.baselines[0]
    data = load(first.dataset, first.dataset_config, root / "data")
    import keras  # noqa: F401  what every process pays once is not what is compared

    started = time.perf_counter()
    for work in plan:
        if work.kind in kinds:
            for _ in run(work, data, store):
                pass
    return time.perf_counter() - started


def in_fresh_process(function: str, *arguments: object) -> float:
    """`plain_loop` and the like in a process of their own, as a user's script would be; the seconds it returns."""
    code = f"import sys, json, tests.benchmarks.{function.replace(':', ' as m; from tests.benchmarks.')}"
    module, _, name = function.partition(":")
    code = (
        f"import sys, json; from pathlib import Path; import tests.benchmarks.{module} as m;"
        f"a = json.loads(sys.argv[1]); print('\\n@', m.{name}(*a))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments, default=str)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return float(printed.rpartition("@")[2])


def service(overrides: Sequence[str], root: Path) -> float:
    """Seconds of the whole command, from the shell's point of view."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "sweeps.run", *overrides, f"storage.root={root}"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def first_start(plan: Plan, root: Path) -> float:
    """When the first trial of a plan started, in seconds since the epoch."""
    store = ResultStore(root)
    results = [store.load(trial.key) for trial in plan.trials]
    return min(result.started_at for result in results if result is not None)


def copy_results(source: Path, target: Path) -> None:
    """Give `target` the finished results of `source`."""
    shutil.copytree(source / "results", target / "results")
