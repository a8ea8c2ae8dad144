"""SIGINT and SIGTERM, sent to real processes with a real Ray."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import trivial_work as trivial
from tests.helpers.drivers import ROOT

SCRIPT = """
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from sweeps.engine import ray_session
from sweeps.engine.execution import run_plan
from sweeps.config.read import ComputeSettings
from sweeps.process.signals import Signals
from sweeps.config.storage import StorageSettings
from sweeps.store.local import ResultStore
from sweeps.engine.worker import Procedures
from tests.helpers import trivial_work as trivial

root = Path(sys.argv[1])
store = ResultStore(root)
store.prepare()
b = trivial.baseline("b")
plan = trivial.plan(*(trivial.trial(f"t{i}", b, sleep=600 if i else 0) for i in range(4)))
compute = ComputeSettings(num_cpus=2, num_gpus=0)
settings = SimpleNamespace(compute=compute, storage=StorageSettings(root, root))
print("ready", flush=True)
with Signals() as signals:
    signals.patience_s = 40  # the machine may be busy; without its head, Ray ends the process after 60
    outcome = run_plan(plan, settings, store, [], Procedures(trivial.load, trivial.prepare, trivial.run), signals)
print(outcome.interrupted, outcome.finished, len(outcome.failures), flush=True)
if ray_session.ray_was_left():  # as `sweeps.run.command` ends then
    os._exit(0)
"""


def signalled(root: Path, number: int, send) -> tuple[int, str, str]:
    """Start SCRIPT, send it a signal once two trials hang; its exit code and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while sum(event == "start" for _, event, *_ in trivial.notes(root)) < 4:  # baseline, t0, and two that hang
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        send(process.pid, number)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGTERM, os.kill), pytest.param(signal.SIGINT, os.killpg, marks=pytest.mark.slow)],
)
def test_a_signal_ends_the_run_in_order(tmp_path, number, send):
    code, out, err = signalled(tmp_path, number, send)  # a terminal sends SIGINT to the workers too
    assert code == 0, err
    assert out.split() == ["ready", str(int(number)), "2", "0"]
    assert "Traceback" not in err
    assert gone(tmp_path)


@pytest.mark.slow
def test_a_signal_that_ends_ray_as_well_ends_the_run(tmp_path):
    code, _, err = signalled(tmp_path, signal.SIGTERM, os.killpg)
    assert code in (0, 128 + signal.SIGTERM), err
    assert gone(tmp_path)


def test_a_signal_while_ray_ends_is_noted_and_ray_ends_first(tmp_path):
    sending = """
from sweeps.engine import ray_session
shut_down = ray_session._shut_down
def with_a_signal(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    shut_down(*arguments)
ray_session._shut_down = with_a_signal
"""
    script = "import os, signal" + SCRIPT.replace("600 if i else 0", "0").replace("\nroot =", f"{sending}\nroot =")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ready", str(int(signal.SIGTERM)), "5", "0"]


def gone(root: Path) -> bool:
    """Whether the workers end."""
    workers = {pid for *_, pid in trivial.notes(root)}
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


STOPPING = """
import os, signal, sys
import ray
from sweeps.engine import ray_session
from sweeps.config.read import ComputeSettings

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("by ours"))
with ray_session.connected(ComputeSettings(num_cpus=1, num_gpus=0), 0):
    os.kill(os.getpid(), signal.SIGTERM)
    node = ray._private.worker._global_node
    end_processes = node.kill_all_processes

    def end_with_a_signal(**options):
        os.kill(os.getpid(), signal.SIGTERM)
        end_processes(**options)

    node.kill_all_processes = end_with_a_signal
os.kill(os.getpid(), signal.SIGTERM)
print(len(heard))
"""


def test_a_signal_while_ray_is_there_and_while_it_ends_and_after_that_is_handled_by_us():
    """Ray's C code takes the handler away when it shuts down, and the signal would end the process on the spot."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPING], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3"]
