"""Sweeps as jobs of a real Ray with a token, on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.ray_cluster import Loopback, make_token, submit
from tests.faults.drivers import ROOT
from tests.faults.servers import free_port

ENDED_S = 240.0
SWEEP = ("method=unit", "debug=quick", "model=lenet_300_100", "measure.latency=false", "compute.max_concurrent=1")


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("ray")) as running:
        yield running


def end(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code and what it printed."""
    printed, _ = process.communicate(timeout=ENDED_S)
    return process.returncode, printed


def without_tracking(tmp_path: Path, *others: str) -> tuple[str, ...]:
    """Overrides of the sweep; its server is one that nobody runs."""
    nobody = f"tracking.uri=http://127.0.0.1:{free_port()}"
    return (*SWEEP, "tracking=server", nobody, f"storage.root={tmp_path / 'out'}", *others)


def read_until(process: subprocess.Popen, text: str) -> None:
    """Read what it prints up to a line with `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was not printed")


def test_a_wrong_token_is_refused_in_one_sentence(ray: Loopback, tmp_path: Path) -> None:
    code, printed = end(submit(ray, "list", token=make_token(tmp_path / "token")))
    assert code == 2
    assert printed.startswith(
        f"error: compute.address={ray.api} does not let us in (it is another token): name the file"
    )
    assert printed.count("\n") == 1


def test_no_token_is_refused_in_one_sentence(ray: Loopback, tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.submit", "list", "compute=ray_jobs", f"compute.address={ray.api}"],
        cwd=ROOT, env={**bare, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=ENDED_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: compute.address={ray.api} does not let us in (no token was sent)")


def test_the_same_sweep_twice_is_one_job_and_stopped_is_no_success(ray: Loopback, tmp_path: Path) -> None:
    overrides = without_tracking(tmp_path, "tracking.on_unreachable=queue")
    first = submit(ray, *overrides)
    read_until(first, "starting 1 worker")
    jobs = list(ray.jobs())
    second = submit(ray, *overrides)
    read_until(second, "its log follows")
    read_until(second, "starting 1 worker")
    code, printed = end(submit(ray, "stop", jobs[0]))
    assert (code, printed.count("is stopped")) == (0, 1), printed
    assert end(first)[0] == end(second)[0] == 143
    assert list(ray.jobs()) == jobs
    assert ray.jobs()[jobs[0]]["status"] == "STOPPED"


def test_a_submitted_sweep_ends_with_its_own_exit_code(ray: Loopback, tmp_path: Path) -> None:
    code, printed = end(submit(ray, *without_tracking(tmp_path, "seeds=[5]")))
    assert code == 2, printed
    assert "nobody answers there" in printed
