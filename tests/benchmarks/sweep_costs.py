"""What the sweep benchmarks share: plans, a plain loop, the service itself, each in a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Plan
from sweeps.store import ResultStore


def plan_of(overrides: Sequence[str]) -> Plan:
    """The plan of a command line."""
    return make_plan(settings_of(compose(overrides)))


def do(plan: Plan, kinds: Sequence[str], store: ResultStore, data: Any) -> float:
    """Seconds that the plan's work of some kinds takes, one after the other in this process."""
    from sweeps.trial import run

    started = time.perf_counter()
    for work in plan:
        if work.kind in kinds:
            for _ in run(work, data, store):
                pass
    return time.perf_counter() - started


def plain_loop(overrides: Sequence[str], root: str, *kinds: str) -> float:
    """`do` as a script would; what every process pays once (imports, data) is not counted."""
    import keras  # noqa: F401

    from prune_core.data import load

    plan, store = plan_of(overrides), ResultStore(Path(root))
    store.prepare()
    baseline = plan.baselines[0]
    return do(plan, kinds, store, load(baseline.dataset, baseline.dataset_config, Path(root) / "data"))


def in_fresh_process(function: str, *arguments: Any) -> float:
    """The seconds that "module:function" of this package returns for JSON-ready arguments, in a fresh process."""
    module, _, name = function.partition(":")
    code = f"import sys, json, tests.benchmarks.{module} as m; print('\\n@', m.{name}(*json.loads(sys.argv[1])))"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.rpartition("@")[2])


def service(overrides: Sequence[str], root: str) -> float:
    """Seconds of the whole command, as its user waits for it."""
    command = [sys.executable, "-m", "sweeps.run", *overrides, f"storage.root={root}"]
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def set_up(plan: Plan, root: str, ended: float, seconds: float) -> float:
    """Seconds of a service run before its first trial: Ray's start, imports of workers.

    Args:
        ended: when the run ended, in seconds since the epoch.
        seconds: that it took.
    """
    store = ResultStore(Path(root))
    first = min(result.started_at for trial in plan.trials if (result := store.load(trial.key)) is not None)
    return first - (ended - seconds)
