"""Machines that share no folder but `storage.uri`: what one of them made, in whole or in part, is there for the others.

The driver is on the head, which does no work; each machine has a disk of its own where the others have theirs.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from prune_core.training import epochs_done
from sweeps.specs import Plan
from sweeps.store.remote import Remote
from sweeps.store.shared import SharedStore
from tests.helpers.cluster.hosts import Host, Network, require_hosts
from tests.helpers.cluster.ray_cluster import Cluster, node_environment
from tests.helpers.drivers import ROOT, planned, wait_for
from tests.helpers.object_store import BUCKET, ObjectStore
from tests.helpers.servers import sqlite_server

pytestmark = pytest.mark.slow
SWEEP = ("method=[weight,unit]", "debug=quick", "model=lenet_300_100", "sparsities=[0.2,0.5,0.8]", "seeds=[0,1]")
"""Two dense networks and twelve trials."""
END_S = 900.0


@dataclass
class Machines:
    """A head and two workers.

    Attributes:
        folder: of logs.
        disk: another folder on each of them.
        cluster, head, workers: what runs where.
        tracking: address of MLflow.
        started: number of sweeps so far.
    """

    folder: Path
    disk: Path
    cluster: Cluster
    head: Host
    workers: list[Host]
    tracking: str
    started: int = 0

    def sweep(self, *overrides: str, root: str = "out", module: str = "tests.helpers.light") -> "Sweep":
        """Start a sweep on the head."""
        self.started += 1
        log = self.folder / f"sweep-{self.started}.log"
        where = ("compute=ray", "compute.address=auto", "tracking=server", f"tracking.uri={self.tracking}")
        places = (f"storage.root={self.disk}/{root}", f"storage.cache={self.disk}/cache")
        command = ["env", "-C", str(ROOT), sys.executable, "-u", "-m", module, *overrides, *where, *places]
        return Sweep(self.head.start(*command, log=log, environment=node_environment(self.cluster.token)), log)

    def started_work(self) -> Counter[str]:
        """{key: how often workers have started it}."""
        lines = [line for host in self.workers for line in _content(host, self.disk / "cache/journal").splitlines()]
        return Counter(line.split()[0] for line in lines if " start " in line)


class Sweep:
    """A driver on a host."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self) -> tuple[int, str]:
        """Wait for its end; exit code and what it printed."""
        return self.process.wait(END_S), self.said


def _content(host: Host, file: Path) -> str:
    return host.run("sh", "-c", f"cat {file} 2>/dev/null || true")


@contextmanager
def machines(folder: Path, network: Network) -> Iterator[Machines]:
    disk = folder / "disk"
    disk.mkdir()
    for host in network.hosts:
        host.run("mount", "-t", "tmpfs", "tmpfs", str(disk))
    with sqlite_server(folder, network.address) as server:
        head, *workers = network.hosts
        cluster = Cluster(folder, head)
        cluster.start_head()
        for worker in workers:
            cluster.start_worker(worker)
        cluster.wait_for_machines(len(network.hosts))
        yield Machines(folder, disk, cluster, head, workers, server.uri)


@pytest.fixture
def network() -> Iterator[Network]:
    require_hosts()
    with Network(3) as network:
        yield network


@pytest.fixture(params=["folder", "s3"])
def uri(request, network, tmp_path, monkeypatch) -> Iterator[str]:
    """What all machines reach."""
    if request.param == "folder":
        yield str(tmp_path / "shared")
        return
    (tmp_path / "s3").mkdir()
    with ObjectStore(tmp_path / "s3", network.address) as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)  # machines are started with this environment
        yield f"s3://{BUCKET}/{tmp_path.name}"  # an address for each store: this process keeps what it has opened


def assert_there(uri: str, plan: Plan, root: Path) -> None:
    store = SharedStore(root, Remote(uri))
    store.prepare()
    store.sync([work.key for work in plan], stopped=lambda: False)
    assert all(store.load(work.key) for work in plan)


def test_a_sweep_and_then_the_same_from_an_empty_folder(network, uri, tmp_path):
    plan = planned(*SWEEP)
    with machines(tmp_path, network) as there:
        code, said = there.sweep(*SWEEP).end()
        assert (code, "share that folder among all nodes, or set storage.uri" in said) == (2, True), said
        code, said = there.sweep(*SWEEP, f"storage.uri={uri}").end()
        assert code == 0, said
        once = dict.fromkeys((work.key for work in plan), 1)
        assert there.started_work() == once
        for worker in there.workers:
            kept = set(worker.run("ls", str(there.disk / "cache/results")).split())
            assert kept <= {baseline.key for baseline in plan.baselines}
            assert _content(worker, there.disk / "cache/journal")  # it has worked
        assert_there(uri, plan, tmp_path / "here")
        code, said = there.sweep(*SWEEP, f"storage.uri={uri}", root="elsewhere").end()
        assert (code, said.count(", cached")) == (0, len(plan)), said
        assert there.started_work() == once


def test_a_network_whose_machine_is_lost_goes_on_elsewhere(network, uri, tmp_path):
    import keras

    network_file = tmp_path / "own.keras"
    layers = [keras.layers.Flatten(), *(keras.layers.Dense(1000, "relu") for _ in range(3)), keras.layers.Dense(10)]
    keras.Sequential([keras.Input((28, 28, 1)), *layers]).save(network_file)
    with machines(tmp_path, network) as there:
        there.head.run("mv", str(network_file), str(there.disk / "own.keras"))  # no worker sees it there
        overrides = ("method=weight", "sparsities=[0.5]", "dataset=mnist_5k", "training.epochs=1000")
        model = ("model=keras_file", f"models.keras_file.path={there.disk}/own.keras", "models.keras_file.train=true")
        sweep = there.sweep(*overrides, *model, f"storage.uri={uri}", module="sweeps.run")
        remote, saved = Remote(uri, patience_s=60), tmp_path / "saved.npz"

        def history() -> list[dict[str, float]]:
            assert sweep.process.poll() is None, sweep.said
            names = remote.names("checkpoints")
            if not names or not remote.get(f"checkpoints/{next(iter(names))}", saved):
                return []
            with np.load(saved, allow_pickle=False) as state:
                return json.loads(str(state["history"]))

        wait_for(lambda: len(history()) > 1, "a checkpoint", END_S)
        (name,) = remote.names("checkpoints")
        (busy,) = (
            h for h in there.workers if f".{name}" in h.run("ls", "-A", str(there.disk / "cache/results")).split()
        )
        busy.power_off()
        marked = [{**figures, "val_accuracy": 0.125} for figures in history()]
        with np.load(saved, allow_pickle=False) as state:
            arrays = {**state, "history": np.array(json.dumps(marked))}
        np.savez(saved, **arrays)
        assert epochs_done(saved) == len(marked)
        remote.put(saved, f"checkpoints/{name}")
        wait_for(lambda: len(history()) > len(marked), "a later checkpoint", END_S)
        assert history()[: len(marked)] == marked
