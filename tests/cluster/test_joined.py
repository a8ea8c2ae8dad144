"""Drivers that join a running cluster: GPUs (logical ones) are shared as asked, and the plan says what is idle."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.specs import Result
from sweeps.store import ResultStore
from tests.helpers.cluster.gpu_work import N_TRIALS
from tests.helpers.cluster.ray_cluster import END_S, Loopback, make_token, node_environment
from tests.helpers.drivers import ROOT

pytestmark = pytest.mark.slow
TYPE = "T4"


@pytest.fixture(scope="module")
def with_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """Two processors and two GPUs."""
    with Loopback(tmp_path_factory.mktemp("gpus"), 2, 2, f'--resources={{"accelerator_type:{TYPE}": 1}}') as running:
        yield running


def python(token: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **node_environment(token)}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=END_S
    )


def results(root: Path) -> list[Result]:
    found = [ResultStore(root).load(f"trial{number}") for number in range(N_TRIALS)]
    return [result for result in found if result]


def most_at_once(intervals: list[tuple[float, float]]) -> int:
    return max(sum(start <= begin < end for start, end in intervals) for begin, _ in intervals)


@pytest.mark.parametrize(("share", "at_most"), [(0.4, 2), (0.5, 2), (1, 1)])
def test_fractions_of_gpus_are_packed_as_asked(with_gpus: Loopback, tmp_path: Path, share: float, at_most: int) -> None:
    done = python(with_gpus.token, "tests.helpers.cluster.gpu_work", str(tmp_path), with_gpus.gcs, str(share), TYPE)
    assert done.returncode == 0, done.stderr
    seen = defaultdict(list)
    for result in results(tmp_path):
        seen[result.tags["gpus"]].append((result.started_at, result.ended_at))
    assert sum(map(len, seen.values())) == N_TRIALS
    assert set(seen) == {"0", "1"}
    assert [most_at_once(intervals) for intervals in seen.values()] == [at_most, at_most]


def plan(ray: Loopback, root: Path, *overrides: str, token: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = ("compute=ray", f"compute.address={ray.gcs}", f"storage.root={root}", "dry_run=true")
    return python(token or ray.token, "sweeps.run", *where, *overrides)


def test_the_plan_says_what_runs_at_once_and_what_idles(with_gpus: Loopback, tmp_path: Path) -> None:
    assert "up to 2 at once (2 of 2 GPUs idle)" in plan(with_gpus, tmp_path).stdout
    sharing = plan(with_gpus, tmp_path, "compute.gpus_per_trial=0.25", "compute.cpus_per_trial=1").stdout
    assert "up to 2 at once (1.5 of 2 GPUs idle)" in sharing


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("compute.gpus_per_trial=1", "compute.accelerator_type=H100"), "is in no machine of the cluster at"),
        (("compute.gpus_per_trial=3",), "compute.gpus_per_trial=3 is more than the cluster at"),
    ],
)
def test_what_nobody_has_is_refused_at_plan_time(
    with_gpus: Loopback, tmp_path: Path, overrides: tuple[str, ...], sentence: str
) -> None:
    done = plan(with_gpus, tmp_path, *overrides)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_cluster_without_a_token_is_joined_without_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = tmp_path / "home" / ".ray" / "auth_token"  # as Ray leaves it where it was started for one machine alone
    found.parent.mkdir(parents=True)
    make_token(found)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with Loopback(tmp_path_factory.mktemp("open"), auth="disabled") as ray:

        def sweep(**environment: str) -> subprocess.CompletedProcess[str]:
            where = ("compute=ray", f"compute.address={ray.gcs}", f"storage.root={tmp_path / 'out'}")
            command = [sys.executable, "-m", "tests.helpers.light", "method=unit", "sparsities=[0.5]", *where]
            here = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), **environment}
            return subprocess.run(
                command, cwd=ROOT, env={**bare, **here}, capture_output=True, text=True, timeout=END_S
            )

        refused = sweep(RAY_AUTH_TOKEN_PATH=str(found))
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert f"compute.address={ray.gcs} takes no token" in refused.stderr
        assert "unset RAY_AUTH_TOKEN_PATH" in refused.stderr
        joined = sweep()
        assert joined.returncode == 0, joined.stdout + joined.stderr


def test_a_wrong_token_is_refused_at_plan_time(with_gpus: Loopback, tmp_path: Path) -> None:
    done = plan(with_gpus, tmp_path, token=make_token(tmp_path / "token"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: compute.address={with_gpus.gcs} does not let us in: name the file")
