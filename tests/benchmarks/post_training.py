"""(a) What the service costs: 40 prunings of trained networks, with everything on, against a plain loop."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.sweep_costs import in_fresh_process, plan_of, service, set_up

OVERRIDES = ["method=[weight,unit]", "model=mlp_1000_1000_500_200", "training=fast", "seeds=[0,1]"]


def measure() -> dict:
    """Both do the same trials on the same two networks, which are trained beforehand."""
    plan = plan_of(OVERRIDES)
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        dense, loop, sweep = (str(Path(folder) / name) for name in ("dense", "loop", "sweep"))
        in_fresh_process("sweep_costs:plain_loop", OVERRIDES, dense, "baseline")
        for root in (loop, sweep):
            shutil.copytree(dense, root)
        plain = in_fresh_process("sweep_costs:plain_loop", OVERRIDES, loop, "trial")
        whole = service(OVERRIDES, sweep)
        before = set_up(plan, sweep, time.time(), whole)
    return {
        "name": "post_training",
        "ratio": (whole - before) / plain,
        "target": {"at_most": 1.15},
        "trials": len(plan.trials),
        "plain loop s": plain,
        "sweep s": whole - before,
        "set-up of Ray and workers s": before,
    }
