"""The long set (make faults): workers and nodes that die while the driver lives."""

import os
import random
import time

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.helpers.drivers import SWEEP, Driver, audit, conclude, finished_keys, planned, wait_for
from tests.helpers.light import journal

pytestmark = pytest.mark.slow
# What Ray calls a process that holds a Tune trial, between two steps and in one.
WORKERS = ("ray::Worker", "ray::ResourceTrainable")
PLAN = planned(*SWEEP)
SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10**6)))


def workers(driver: Driver) -> list[psutil.Process]:
    """Processes in which pieces of work are done."""
    found = []
    for process in driver.family():
        try:
            if "".join(process.cmdline()[:1]).startswith(WORKERS):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_workers_killed_at_random(tmp_path):
    root = tmp_path / "outputs"
    chance = random.Random(SEED)
    kills = 0
    with Driver(root, (*SWEEP, "compute.max_retries=20"), LIGHT_SECONDS="2") as driver:
        while driver.running and kills < 8:
            time.sleep(chance.uniform(1, 6))
            victims = workers(driver)
            if victims and driver.running:
                victim = chance.choice(victims)
                victim.kill()
                kills += 1
                print(f"worker {victim.pid} killed, {len(finished_keys(root))} of {len(PLAN)} results")
        driver.finish()
    assert kills > 1
    conclude(f"{kills} workers killed at random (seed {SEED})", audit(root, PLAN))


def test_a_node_is_lost_during_the_baseline(tmp_path, monkeypatch):
    """Head without processors, two nodes of one; the one that trains the dense network loses power."""
    root = tmp_path / "outputs"
    monkeypatch.setenv("LIGHT_SECONDS", "4")  # the nodes' workers have their environment, not the driver's
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        overrides = [word for word in SWEEP if not word.startswith("compute.")]
        with Driver(root, (*overrides, "compute=ray", f"compute.address={cluster.address}")) as driver:
            wait_for(lambda: not driver.running or journal(root) != [], "the start of the baseline")
            assert driver.running, driver.said
            worker = psutil.Process(_last_pid(root))
            (lost,) = [node for node in nodes if _raylet(node) in [parent.pid for parent in worker.parents()]]
            for process in psutil.Process(_raylet(lost)).children(recursive=True):
                process.kill()
            cluster.remove_node(lost, allow_graceful=False)
            driver.finish()
    finally:
        cluster.shutdown()
    starts = [key for key, event in journal(root) if event == "start"]
    assert starts.count(PLAN.baselines[0].key) == 2
    assert len(starts) == len(PLAN) + 1
    conclude("a node of two lost during the baseline", audit(root, PLAN))


def _raylet(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def _last_pid(root) -> int:
    return int((root / "journal").read_text().split()[-1])
