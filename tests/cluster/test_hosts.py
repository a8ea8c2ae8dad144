"""Sweeps as jobs on two and four Ray machines: followed, stopped, and with the loss of each of the machines.

On four machines the work is light (`tests.helpers.light`), so that the test is of the service, not of the processors.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.specs import Plan
from sweeps.store import ResultStore
from tests.helpers.cluster.hosts import Host, Network, require_hosts
from tests.helpers.cluster.ray_cluster import Cluster, Submit
from tests.helpers.drivers import (
    Findings,
    audit,
    conclude,
    fingerprints,
    finished_keys,
    planned,
    repeats,
    wait_for,
)
from tests.helpers.servers import sqlite_server

pytestmark = pytest.mark.slow
SWEEP = (
    *("method=[weight,unit]", "debug=quick", "model=lenet_300_100", "measure.latency=false"),
    *("seeds=[0,1,2]", "sparsities=[0.2,0.5,0.8]", "training.epochs=3"),
)
"""Three dense networks and eighteen trials."""


@dataclass
class Running:
    """A cluster, and a sweep that is being submitted to it."""

    cluster: Cluster
    hosts: list[Host]
    folder: Path
    uri: str
    overrides: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.folder / "out"

    @property
    def plan(self) -> Plan:
        return planned(*SWEEP, f"storage.root={self.root}")

    @property
    def workers(self) -> list[Host]:
        return self.hosts[1:]

    def submit(self, *words: str) -> Submit:
        return Submit(self.folder, self.cluster, *words, *self.overrides)

    def results(self) -> int:
        return len(finished_keys(self.root))

    def wait_for_results(self, count: int) -> None:
        wait_for(lambda: self.results() >= count, f"{count} results")

    def host_of_driver(self) -> Host:
        """Where the driver of the last job runs."""
        job = max(self.cluster.jobs().values(), key=lambda job: job["start_time"])
        return next(host for host in self.hosts if f"//{host.ip}:" in job["driver_agent_http_address"])

    def audit(self) -> Findings:
        return audit(self.root, self.plan, self.uri)

    def utilisation(self) -> str:
        """How much of the time between the first start and the last end the machines' processors worked on results."""
        store = ResultStore(self.root)
        results = [result for work in self.plan if (result := store.load(work.key))]
        span = max(result.ended_at for result in results) - min(result.started_at for result in results)
        busy = sum(result.seconds for result in results)
        return f"{busy / span / len(self.workers):.0%} of {len(self.workers)} workers busy over {span:.0f} s"


LIGHT = f"""#!/bin/sh
# What is started as `python -m sweeps.run ...` does light work.
shift 2
exec {sys.executable} -m tests.helpers.light "$@"
"""


@contextmanager
def running(folder: Path, n_hosts: int, *others: str) -> Iterator[Running]:
    """`n_hosts` machines, the first of which is the head; `others` are further overrides."""
    require_hosts()
    with Network(n_hosts) as network, sqlite_server(folder, network.address) as server:
        cluster = Cluster(folder, network.hosts[0])
        cluster.start_head()
        for host in network.hosts[1:]:
            cluster.start_worker(host)
        cluster.wait_for_machines(n_hosts)
        where = ("tracking=server", f"tracking.uri={server.uri}", f"storage.root={folder / 'out'}")
        yield Running(cluster, network.hosts, folder, server.uri, (*SWEEP, *where, *others))


@pytest.fixture
def light(tmp_path: Path) -> str:
    """Override for light work."""
    script = tmp_path / "light.sh"
    script.write_text(LIGHT)
    script.chmod(0o755)
    return f"compute.ray_jobs.python={script}"


def test_two_machines_follow_stop_and_go_on(tmp_path: Path) -> None:
    with running(tmp_path, 2) as sweep:
        first = sweep.submit()
        sweep.wait_for_results(4)
        attached = sweep.submit()
        attached.until("its log follows")
        assert sweep.submit("stop").end()[0] == 0
        assert first.end()[0] == attached.end()[0] == 143
        before = fingerprints(sweep.root)
        code, said = sweep.submit().end()
        assert code == 0, said
        findings = sweep.audit() + Findings(repeated=repeats(sweep.root, before))
        conclude(f"2 machines, stopped and submitted again ({sweep.utilisation()})", findings)


@pytest.mark.parametrize("fault", ["worker off", "worker unplugged", "driver's machine off", "head off and back"])
def test_four_machines_of_which_one_is_lost(fault: str, light: str, tmp_path: Path) -> None:
    with running(tmp_path, 4, light) as sweep:
        submitted = sweep.submit()
        sweep.wait_for_results(4)
        before = fingerprints(sweep.root)
        drivers = sweep.host_of_driver()
        other = next(host for host in sweep.workers if host is not drivers)
        if fault == "worker off":
            other.power_off()
        elif fault == "worker unplugged":
            other.unplug()
        elif fault == "driver's machine off":
            drivers.power_off()
        else:
            sweep.hosts[0].power_off()
            sweep.hosts[0].boot()
            sweep.cluster.start_head()
        code, said = submitted.end()
        assert code == 0, said
        findings = sweep.audit() + Findings(repeated=repeats(sweep.root, before))
        conclude(f"4 machines, {fault} ({sweep.utilisation()})", findings)
