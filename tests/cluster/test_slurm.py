"""Sweeps as batch jobs: the script by itself, and a real Slurm of two nodes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.cluster.command import act
from sweeps.specs import Plan
from tests.helpers.cluster.slurm_cluster import SlurmCluster, slurm
from tests.helpers.drivers import Findings, audit, conclude, fingerprints, finished_keys, planned, repeats, wait_for
from tests.helpers.servers import sqlite_server

TARGET = ("compute=slurm", "tracking=server", "tracking.uri=http://127.0.0.1:1")
SWEEP = (
    *("method=[weight,unit]", "debug=quick", "model=lenet_300_100", "measure.latency=false"),
    *("seeds=[0,1]", "sparsities=[0.2,0.5,0.8]", "training.epochs=3"),
)
"""Two dense networks and twelve trials."""
TWO_NODES = ("compute.slurm.nodes=2", "compute.slurm.cpus_per_node=2", "compute.slurm.partition=debug")
END_S = 900.0


def script(capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """What `prune-sweep submit --print` shows."""
    assert act(["--print", *TARGET, *overrides]) == 0
    return capsys.readouterr().out


def test_script_is_bash_that_asks_for_what_the_settings_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(
        capsys, f"storage.root={tmp_path}", "compute.gpus_per_trial=0.5", "compute.slurm.gpus_per_node=2",
        "compute.slurm.gpu_type=a100", "compute.slurm.nodes=3", "compute.slurm.account=lab", "compute.slurm.time=2-00",
    )  # fmt: skip
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    options = {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert {"nodes=3", "gpus-per-node=a100:2", "account=lab", "time=2-00", "requeue"} <= options
    assert not any(option.startswith(("mem=", "partition=")) for option in options)
    assert not list(tmp_path.iterdir())


def test_values_reach_the_sweep_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "it's; $(touch pwned) 100% here"
    value = "tracking.experiment='a \"b\" `c` $d; e'"
    text = script(capsys, f'storage.root="{folder}"', value)
    head = text[: text.index("set -euo pipefail")]
    said = subprocess.run(
        ["bash", "-c", head + '\nprintf "%s\\n" "$folder" "${sweep[@]}"'],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout.splitlines()  # fmt: skip
    assert said[0] == str(folder / "slurm")
    assert value in said
    assert not (tmp_path / "pwned").exists()
    assert f"{folder}".replace("%", "%%") in next(line for line in head.splitlines() if "--output" in line)


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("compute.slurm.partition='a b'", "compute.slurm.partition"),
        ("compute.slurm.time=soon", "compute.slurm.time"),
        ("compute.slurm.nodes=0", "compute.slurm.nodes"),
        ("compute.slurm.node=2", "compute.slurm.node "),
        ("compute.cpus_per_trial=8", "cpus_per_trial"),
        ("tracking=sqlite", "tracking"),
    ],
)
def test_what_cannot_work_is_said_before_it_is_submitted(override: str, names: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=names):
        act(
            [
                "--print",
                *TARGET[:1],
                *(() if "sqlite" in override else TARGET[1:]),
                f"storage.root={tmp_path}",
                override,
            ]
        )


def test_without_slurm_it_says_where_to_submit_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"squeue is not here: .*--print"):
        act([*TARGET, f"storage.root={tmp_path}"])


@dataclass
class Running:
    """A Slurm of two nodes and the sweep that is given to it."""

    cluster: SlurmCluster
    folder: Path
    uri: str

    @property
    def root(self) -> Path:
        return self.folder / "out with spaces"

    @property
    def overrides(self) -> tuple[str, ...]:
        where = ("tracking=server", f"tracking.uri={self.uri}", f"storage.root='{self.root}'")
        return (*SWEEP, *where, "compute=slurm", *TWO_NODES)

    @property
    def plan(self) -> Plan:
        return planned(*SWEEP, f"storage.root='{self.root}'")

    def submit(self, *words: str) -> subprocess.Popen:
        """`prune-sweep submit ...` on the first node."""
        command = [sys.executable, "-m", "sweeps.submit", *words, *self.overrides]
        return self.cluster.hosts[0].start(*command, log=self.log, environment=self.cluster.environment)

    @property
    def log(self) -> Path:
        return self.folder / "submit.log"

    def wait_for_results(self, count: int) -> None:
        wait_for(lambda: len(finished_keys(self.root)) >= count, f"{count} results", END_S)

    def job(self) -> str:
        return self.cluster.ask("squeue", "--noheader", "--format=%A").strip()

    def audit(self, before: dict) -> Findings:
        return audit(self.root, self.plan, self.uri) + Findings(repeated=repeats(self.root, before))


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    with slurm(folder, 2) as (cluster, address), sqlite_server(folder, address) as server:
        yield Running(cluster, folder, server.uri)


@pytest.mark.slow
def test_stopped_and_submitted_again_on_two_nodes(tmp_path: Path) -> None:
    with running(tmp_path) as sweep:
        first = sweep.submit()
        sweep.wait_for_results(3)
        assert sweep.submit("stop").wait(END_S) == 0, sweep.log.read_text()
        assert first.wait(END_S) == 143
        assert sweep.job() == ""
        before = fingerprints(sweep.root)
        assert sweep.submit().wait(END_S) == 0, sweep.log.read_text()
        conclude("Slurm on 2 nodes, stopped and submitted again", sweep.audit(before))
        assert not list((sweep.root / "slurm").glob("*.token"))


@pytest.mark.slow
def test_requeued_on_two_nodes(tmp_path: Path) -> None:
    with running(tmp_path) as sweep:
        submitted = sweep.submit()
        sweep.wait_for_results(3)
        before = fingerprints(sweep.root)
        sweep.cluster.ask("scontrol", "requeue", sweep.job())
        assert submitted.wait(END_S) == 0, sweep.log.read_text()
        conclude("Slurm on 2 nodes, requeued", sweep.audit(before))
