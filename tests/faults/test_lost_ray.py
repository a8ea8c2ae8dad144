"""Ray itself dies during a sweep, by SIGKILL: the driver reports it and ends at once; the same command goes on."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from sweeps.engine.orphans import folder_of
from tests.helpers.drivers import (
    SWEEP,
    Driver,
    Findings,
    alive,
    audit,
    client_of,
    conclude,
    fingerprints,
    finished_keys,
    planned,
    repeats,
    wait_for,
)

PLAN = planned(*SWEEP)
PARTS = ("raylet", "gcs_server")
SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10**6)))
KILLS = int(os.environ.get("FAULTS_KILLS", "50")) // 5


def parts(driver: Driver, name: str) -> list[psutil.Process]:
    """Ray's processes of this name that the driver has."""
    found = []
    for process in driver.family():
        try:
            found += [process] if name in (process.name(), "".join(process.cmdline()[:1])) else []
        except psutil.Error:
            continue
    return alive(found)


def completed(root: Path, before: dict[str, tuple[int, int, str]]) -> Findings:
    """What is wrong once the same command has gone on to its end; `before` are the results that were there already."""
    with Driver(root) as driver:
        driver.finish()
    findings = audit(root, PLAN)
    findings.repeated += repeats(root, before)
    return findings


# The raylet ends at once, and without an error, when one of its agents does.
@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("raylet", signal.SIGKILL),
        ("gcs_server", signal.SIGKILL),
        ("raylet", signal.SIGTERM),
        ("ray::RuntimeEnvAgent", signal.SIGKILL),
    ],
)
@pytest.mark.slow
def test_a_sweep_that_loses_ray_says_so_keeps_what_is_finished_and_goes_on(tmp_path, part, number):
    root = tmp_path / "outputs"
    with Driver(root, LIGHT_SECONDS="1.5") as driver:
        wait_for(lambda: not driver.running or len(finished_keys(root)) >= 2, "two results")
        family = driver.family()
        (victim,) = parts(driver, part)
        victim.send_signal(number)
        assert driver.wait() == 1, driver.said
        said = driver.said
    assert "Traceback" not in said
    assert not any(line.startswith("lost ") for line in said.splitlines())  # no trial is lost or tried again
    assert "is tried again" not in said
    last = said.splitlines()[-1]
    assert last.startswith("error: Ray is lost, its "), said
    assert "run the same command again to go on" in last
    assert not alive(family)
    assert not folder_of(root / "sweeps" / PLAN.sweep_id).exists()
    client = client_of(root)
    runs = client.search_runs([client.get_experiment_by_name("prune-sweep").experiment_id])
    (sweep,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
    assert sweep.info.status == "FAILED"
    assert {run.info.status for run in runs if run is not sweep} <= {"FINISHED"}
    findings = completed(root, fingerprints(root))
    assert findings.none(), findings


@pytest.mark.slow
def test_ray_lost_at_many_random_instants(tmp_path):
    """Also while Ray starts and ends: the driver always ends by itself, and the same command goes on."""
    chance = random.Random(SEED)
    root, before = tmp_path / "outputs_0", {}
    kills = 0
    while kills < KILLS:
        if len(finished_keys(root)) == len(PLAN):  # where nothing is left to do, Ray is not started
            findings = completed(root, before)
            assert findings.none(), findings
            root, before = tmp_path / f"outputs_{kills}", {}
        part, seconds = chance.choice(PARTS), chance.uniform(0, 15)
        with Driver(root, LIGHT_SECONDS="2") as driver:
            wait_for(lambda part=part, driver=driver: not driver.running or parts(driver, part), part)
            time.sleep(seconds)
            victims = parts(driver, part)
            for victim in victims:
                victim.kill()
            kills += bool(victims)
            code, said = driver.wait(), driver.said
        print(
            f"{part} killed after {seconds:.2f} s: exit code {code}, {len(finished_keys(root))} of {len(PLAN)} results"
        )
        assert code in (0, 1)
        assert "Traceback" not in said
        assert code == 0 or said.splitlines()[-1].startswith("error: Ray is lost, its "), said
        assert not repeats(root, before)
        before = fingerprints(root)
    conclude(f"Ray lost {kills} times at random instants (seed {SEED})", completed(root, before))
