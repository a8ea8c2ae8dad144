"""Ray's session: what its workers and the driver are given."""

import subprocess
import sys
from pathlib import Path

from sweeps.engine.ray_start import worker_environment
from sweeps.machines import Request


def test_threads_of_workers_are_bounded():
    environment = worker_environment(Request(1.5, 0, None))
    assert {environment[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")} == {
        "2"
    }


def test_checks_need_neither_ray_nor_tensorflow():
    script = (
        "import sys, sweeps.engine.ray_session, sweeps.engine.execution, sweeps.engine.events;"
        "import sweeps.terminal.progress;"
        "sys.exit(', '.join({'ray', 'tensorflow', 'optuna', 'mlflow'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
