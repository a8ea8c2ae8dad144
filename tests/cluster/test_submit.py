"""Sweeps as jobs of a real Ray with a token, on loopback."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.cluster import interrupted
from tests.helpers.cluster.ray_cluster import END_S, Loopback, Submit, make_token
from tests.helpers.drivers import ROOT
from tests.helpers.servers import free_port

SWEEP = ("method=unit", "debug=quick", "model=lenet_300_100", "measure.latency=false", "compute.max_concurrent=1")


def without_server(tmp_path: Path) -> tuple[str, ...]:
    """Overrides of the sweep; its tracking server does not exist."""
    return (
        *SWEEP,
        "tracking=server",
        f"tracking.uri=http://127.0.0.1:{free_port()}",
        f"storage.root={tmp_path / 'out'}",
    )


def test_a_wrong_token_is_refused_in_one_sentence(ray: Loopback, tmp_path: Path) -> None:
    code, said = Submit(tmp_path, ray, "list", token=make_token(tmp_path / "token")).end()
    assert code == 2
    assert said.startswith(f"error: compute.address={ray.api} does not let us in (it is another token): name the file")
    assert said.count("\n") == 1


def test_no_token_is_refused_in_one_sentence(ray: Loopback, tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.submit", "list", "compute=ray_jobs", f"compute.address={ray.api}"],
        cwd=ROOT, env={**bare, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=END_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: compute.address={ray.api} does not let us in (no token was sent): name the")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:{free}", "nobody listens there"),
        ("https://{api}", "no HTTPS is spoken there that this machine trusts"),
        ("http://{gcs}", "perhaps not the port of the jobs API, which is usually 8265"),
        ("http://nobody.invalid:8265", "no host of that name is known here"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_wrong_about_it(ray: Loopback, address: str, why: str) -> None:
    from sweeps.cluster.jobs_api import Unreachable, connect

    with pytest.raises(Unreachable, match=why):
        connect(address.format(free=free_port(), api=ray.api.removeprefix("http://"), gcs=ray.gcs))


@pytest.mark.parametrize(("typed", "stops"), [(b"y\n", True), (b"\n", False), (b"no\n", False), (b"\x04", False)])
def test_only_a_yes_stops_a_job_that_is_left(
    typed: bytes, stops: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        keyboard.write(typed)
        assert interrupted.wants_stop("prune-sweep-1", "compute=slurm") is stops
    assert ("prune-sweep submit logs prune-sweep-1 compute=slurm" in capsys.readouterr().err) is not stops


def test_the_same_sweep_twice_is_one_job_and_stopped_is_no_success(ray: Loopback, tmp_path: Path) -> None:
    overrides = (*without_server(tmp_path), "tracking.on_unreachable=queue")
    first = Submit(tmp_path, ray, *overrides)
    first.until("starting 1 worker")
    (job,) = ray.jobs()
    second = Submit(tmp_path, ray, *overrides)
    second.until(f"{job} is running it", "starting 1 worker")
    code, said = Submit(tmp_path, ray, "stop", job).end()
    assert (code, said.count("is stopped")) == (0, 1), said
    assert first.end()[0] == second.end()[0] == 143
    assert {name: details["status"] for name, details in ray.jobs().items()} == {job: "STOPPED"}


@pytest.mark.slow
def test_a_submitted_sweep_ends_with_its_own_exit_code(ray: Loopback, tmp_path: Path) -> None:
    code, said = Submit(tmp_path, ray, *without_server(tmp_path), "seeds=[5]").end()
    assert code == 2, said
    assert "nobody answers there" in said
    (job,) = (name for name, details in ray.jobs().items() if details["status"] == "FAILED")
    code, said = Submit(tmp_path, ray, "status", job).end()
    assert (code, said.count("\n")) == (0, 2)
    assert said.endswith("Job entrypoint command failed with exit code 2\n")
