"""The long set (make faults): trials that go wrong by themselves, and a disk that is full."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.drivers import SWEEP, Driver, audit, client_of, conclude, finished_keys, planned, wait_for
from tests.helpers.light import journal
from tests.helpers.machines import machine_with

pytestmark = pytest.mark.slow
TROUBLES = {"unit": "shape", "random": "nan", "threshold": "hang", "importance": "memory"}


def test_each_trouble_is_taken_for_what_it_is(tmp_path):
    """A bug is reported once and not tried again, a hang is ended, lack of memory is tried again; the rest goes on."""
    root = tmp_path / "outputs"
    overrides = (f"method=[weight,{','.join(TROUBLES)}]", *SWEEP[1:2], *SWEEP[3:], "compute.trial_timeout_s=10")
    plan = planned(*overrides)
    keys = {trial.method: trial.key for trial in plan.trials}
    with Driver(root, overrides, LIGHT_TROUBLE=json.dumps(TROUBLES)) as driver:
        assert driver.wait() == 1, driver.said
    assert "Traceback" not in driver.said
    assert finished_keys(root) == {plan.baselines[0].key, keys["weight"], keys["importance"]}
    starts = [key for key, event in journal(root) if event == "start"]
    counts = {method: starts.count(key) for method, key in keys.items()}
    assert counts == {"weight": 1, "unit": 1, "random": 1, "threshold": 1, "importance": 2}
    client = client_of(root)
    runs = client.search_runs([client.get_experiment_by_name("prune-sweep").experiment_id])
    failed = {run.data.params["method"]: run for run in runs if run.data.tags.get("status") == "failed"}
    assert failed.keys() == {"unit", "random", "threshold"}
    assert {run.info.status for run in failed.values()} == {"FAILED"}
    assert failed["unit"].data.tags["failure"].startswith("ValueError: matmul")
    assert "training.learning_rate" in failed["random"].data.tags["failure"]
    assert failed["threshold"].data.tags["failure"] == "ended after 10 s (compute.trial_timeout_s)"
    for method in ("unit", "random"):
        path = client.download_artifacts(failed[method].info.run_id, "traceback.txt", str(tmp_path))
        assert "tests/helpers/light.py" in Path(path).read_text()
    with Driver(root, overrides) as driver:
        driver.finish()
    conclude("a shape error, a NaN, a hang and lack of memory, then the same again without", audit(root, plan))


def test_work_that_fits_in_memory_only_alone_is_done_alone(tmp_path):
    """Its worker is killed when anything runs beside it, and no reason is given."""
    root = tmp_path / "outputs"
    with Driver(root, LIGHT_SECONDS="1", LIGHT_TROUBLE='{"unit": "greedy"}') as driver:
        driver.finish()
    starts = Counter(key for key, event in journal(root) if event == "start")
    assert max(starts.values()) > 1
    conclude("work that fits only alone", audit(root, planned(*SWEEP)))


def test_what_takes_all_memory_is_tried_alone_and_given_up(tmp_path):
    """Ray's memory monitor ends trials that take all memory of a machine of 3 GiB; all else needs less than one."""
    root = tmp_path / "outputs"
    plan = planned(*SWEEP)
    hoarders = {trial.key for trial in plan.trials if trial.method == "unit"}
    with machine_with(3 * 2**30) as machine:
        hoard = {"LIGHT_TROUBLE": '{"unit": "hoard"}', "RAY_memory_usage_threshold": "0.7"}
        with Driver(root, machine=machine, LIGHT_SECONDS="1", **hoard) as driver:
            assert driver.wait() == 1, driver.said
            said = driver.said
    assert "Traceback" not in said
    assert finished_keys(root) == {work.key for work in plan} - hoarders
    starts = [key for key, event in journal(root) if event == "start"]
    assert {key: starts.count(key) for key in hoarders} == dict.fromkeys(hoarders, 2)
    client = client_of(root)
    runs = client.search_runs([client.get_experiment_by_name("prune-sweep").experiment_id])
    failed = [run.data.tags for run in runs if run.info.status == "FAILED" and "trial.key" in run.data.tags]
    assert {tags["trial.key"]: (tags["status"], tags["attempts"]) for tags in failed} == dict.fromkeys(
        hoarders, ("lost", "2")
    )
    assert len(failed) == len(hoarders)
    assert all(re.search(r"with nothing beside it.*memory was short there \(", tags["failure"]) for tags in failed)
    with Driver(root) as driver:
        driver.finish()
    conclude("trials that take all memory, then the same again without", audit(root, plan))


@pytest.mark.parametrize("seconds", ["-3600", "3600"])
def test_a_clock_that_jumps_while_work_is_done(tmp_path, seconds):
    root = tmp_path / "outputs"
    with Driver(root, LIGHT_CLOCK=seconds) as driver:
        said = driver.finish()
    assert "cannot be drawn" not in said
    conclude(f"a clock that jumps by {seconds} s", audit(root, planned(*SWEEP)))


def test_a_full_disk(tmp_path):
    """What does not fit any more fails and is reported; with room again the same command does only that."""
    mount = shutil.which("mount")
    root = tmp_path / "outputs"
    root.mkdir()
    plan = planned(*SWEEP)
    if os.geteuid() or not mount:
        pytest.skip("only root can mount a small file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "none", root], check=False).returncode:
        pytest.skip("this root may not mount a file system")
    try:
        with Driver(root, LIGHT_SECONDS="2") as driver:
            wait_for(lambda: len(finished_keys(root)) >= 2, "two results")
            fill(root / "filler")
            code = driver.wait()
            said = driver.said
        done = finished_keys(root)
        assert code == 1, said
        assert f"storage.root={root} takes no more files (No space left on device): make room there" in said
        assert "Traceback" not in said, said
        (root / "filler").unlink()
        with Driver(root) as driver:
            driver.finish()
        findings = audit(root, plan)
        assert len(done) < len(plan)
        conclude(f"disk full after {len(done)} of {len(plan)} results", findings)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
