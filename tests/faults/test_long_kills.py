"""The long set (make faults): drivers killed at many random instants, and at each point between two writes."""

import os
import random
import shutil
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
    conclude,
    fingerprints,
    finished_keys,
    planned,
    repeats,
    wait_for,
)

pytestmark = pytest.mark.slow
PLAN = planned(*SWEEP)
SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10**6)))
KILLS = int(os.environ.get("FAULTS_KILLS", "50"))
GAPS = ("run created", "values logged", "files logged", "run finished", "acknowledged")
SECONDS = "1.5"
# Ray's agents wait this long for a head that is gone.
ORPHANS_END_S = 120.0
# Far more than it takes: the machine may be busy.
ENDS_S = 120.0


def test_killed_at_many_random_instants(tmp_path):
    """One sweep after the other, each started again after each kill until it is finished."""
    chance = random.Random(SEED)
    orphans: list[psutil.Process] = []
    findings = Findings()
    whole = _undisturbed_seconds(tmp_path / "first")
    print(f"seed {SEED}; undisturbed, a sweep takes {whole:.1f} s")
    kills = sweeps = 0
    while kills < KILLS:
        root = tmp_path / f"sweep-{sweeps}" / "outputs"
        root.parent.mkdir()
        sweeps += 1
        before: dict = {}
        while kills < KILLS:
            instant = chance.uniform(0, whole)
            with Driver(root, LIGHT_SECONDS=SECONDS) as driver:
                left = _kill_at(driver, instant)
            findings.repeated += repeats(root, before)
            before = fingerprints(root)
            if left is None:
                break
            kills += 1
            orphans += left
            print(f"kill {kills} after {instant:.2f} s: {len(finished_keys(root))} of {len(PLAN)} results")
        with Driver(root) as driver:
            driver.finish()
        findings.repeated += repeats(root, before)
        findings += audit(root, PLAN)
    findings.stuck += _still_there(orphans)
    conclude(f"{kills} kills at random instants (seed {SEED}) in {sweeps} sweeps", findings)


def test_ended_at_many_random_instants(tmp_path):
    """SIGTERM at any instant ends the process and all that it has started; the same command goes on from there."""
    chance = random.Random(SEED)
    root = tmp_path / "outputs"
    ray = folder_of(root / "sweeps" / PLAN.sweep_id)
    whole = _undisturbed_seconds(tmp_path / "first")
    findings = Findings()
    ended = 0
    for _ in range(KILLS // 2):
        instant = chance.uniform(0, whole)
        with Driver(root, LIGHT_SECONDS=SECONDS) as driver:
            time.sleep(instant)
            driver.signal(signal.SIGTERM)
            code = driver.wait(ENDS_S)
            said = driver.said
        print(f"SIGTERM after {instant:.2f} s: {code}, {len(finished_keys(root))} of {len(PLAN)} results")
        if code == 128 + signal.SIGTERM:
            assert "run the same command again to go on" in said
        elif code:  # before our first line and after our last one the signal ends Python itself
            assert code == -signal.SIGTERM, said
            assert "results go to" not in said or "\nreport: " in said, said
        findings.stuck += [f"{ray} is left over"] if ray.exists() else []
        ended += code != 0
        if len(finished_keys(root)) == len(PLAN):
            shutil.rmtree(root)
    with Driver(root) as driver:
        driver.finish()
    findings += audit(root, PLAN)
    conclude(f"{ended} times SIGTERM at random instants (seed {SEED})", findings)


def _undisturbed_seconds(folder: Path) -> float:
    folder.mkdir()
    started = time.monotonic()
    with Driver(folder / "outputs", LIGHT_SECONDS=SECONDS) as driver:
        driver.finish()
    return time.monotonic() - started


def _kill_at(driver: Driver, instant: float) -> list[psutil.Process] | None:
    """SIGKILL after `instant` seconds; the descendants it had, or None if it had ended before."""
    deadline = time.monotonic() + instant
    while driver.running and time.monotonic() < deadline:
        time.sleep(0.02)
    return driver.kill() if driver.running else None


def _still_there(orphans: list[psutil.Process]) -> list[str]:
    try:
        wait_for(lambda: not alive(orphans), "the end of orphans", ORPHANS_END_S)
    except TimeoutError:
        return [f"process {orphan.pid} lives on without its driver" for orphan in alive(orphans)]
    return []


@pytest.mark.parametrize("number", [1, 4, 7])
@pytest.mark.parametrize("gap", GAPS)
def test_killed_in_a_gap_of_tracking(tmp_path, gap, number):
    what = f"killed after {gap!r} for time {number}"
    _killed_by_itself(tmp_path / "outputs", what, LIGHT_GAP=gap, LIGHT_GAP_AT=str(number))


@pytest.mark.parametrize("results", [0, 3, 6])
@pytest.mark.parametrize("step", ["computed", "committed"])
def test_killed_around_a_commit(tmp_path, step, results):
    what = f"killed when a result was {step}, with {results} in the store"
    _killed_by_itself(tmp_path / "outputs", what, LIGHT_STEP=step, LIGHT_STEP_AT=str(results))


def _killed_by_itself(root: Path, what: str, **environment: str) -> None:
    with Driver(root, **environment) as driver:
        assert driver.wait() == -9, driver.said
    before = fingerprints(root)
    with Driver(root) as driver:
        driver.finish()
    findings = audit(root, PLAN)
    findings.repeated += repeats(root, before)
    conclude(what, findings)
