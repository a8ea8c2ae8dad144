"""The power fails at any instant; then the same command again, from the disk as it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.drivers import SWEEP, TIMEOUT_S, Driver, finished_keys, wait_for
from tests.helpers.power import Disk, disk_in

# A driver of the tracker that stops in every gap until it is told to go on.
_DELIVER = """
import sys
from pathlib import Path
from sweeps.tracking.tracker import Tracker
from tests.helpers.sweep_fixtures import Settings, Storage, commit, grid
from tests.helpers.trackers import prepared_store

def at(gap):
    print(gap, flush=True)
    sys.stdin.readline()

root = Path(sys.argv[1])
plan, store = grid(2), prepared_store(root)
tracker = Tracker(Settings(Storage(root)), plan, store, {}, lambda said: print("!", said), "x", at)
tracker.start()
for work in plan:
    tracker.finished(work, store.load(work.key) or commit(store, work), False)
print(tracker.finish("FINISHED", {}, {"trials": 2}, 300), "wait", flush=True)
"""
# Compares everything with the store; in a process of its own, which does not use the disk after its end.
_AUDIT = """
import json, sys
from pathlib import Path
from tests.helpers.drivers import audit, client_of, planned
from tests.helpers.sweep_fixtures import grid

root, overrides = Path(sys.argv[1]), sys.argv[2:]
plan = planned(*overrides) if overrides else grid(2)
findings = audit(root, plan)
client = client_of(root)
runs = client.search_runs([client.get_experiment_by_name("prune-sweep").experiment_id])
twice = [
    f"{run.info.run_name} {name}" for run in runs for name in run.data.metrics
    if len(client.get_metric_history(run.info.run_id, name)) != 1
]
models = client.search_logged_models([runs[0].info.experiment_id])
broken = [model.model_id for model in models if str(model.status) != "READY"]
for model in models:
    key = client.get_run(model.source_run_id).data.tags["baseline.key"]
    there = Path(model.artifact_location.removeprefix("file://"), "data", "model.keras").read_bytes()
    broken += [model.model_id] * (there != (root / "results" / key / "model.keras").read_bytes())
print(json.dumps([*findings.lost, *findings.repeated, *findings.stuck, *twice, *broken]))
"""


@pytest.fixture
def disk(tmp_path) -> Disk:
    return disk_in(tmp_path)


def problems(root: Path, *overrides: str) -> list[str]:
    command = [sys.executable, "-c", _AUDIT, str(root), *overrides]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@contextmanager
def delivering(root: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", _DELIVER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def go_on(driver: subprocess.Popen) -> str:
    """Let it go on to the next gap; returns which one that is, or its last output."""
    driver.stdin.write("\n")
    driver.stdin.flush()
    return driver.stdout.readline().strip()


def empty_files(root: Path) -> list[Path]:
    """Empty files of results and artifacts; a folder that is still being written does not count."""
    found = [*root.glob("results/[!.]*/*"), *root.glob("artifacts/*/artifacts/*"), *root.glob("artifacts/models/*/*/*")]
    return [path for path in found if path.is_file() and not path.stat().st_size]


def test_what_counts_as_finished_is_on_the_disk_at_once(disk):
    with disk.mounted() as root, delivering(root) as driver:
        gaps = [driver.stdout.readline().strip()]
        while gaps.count("run finished") < 2:
            gaps.append(go_on(driver))
        image = disk.cut("cut")
    with disk.mounted(image) as root:
        assert not empty_files(root)
        assert len(finished_keys(root)) >= 2
        assert len([*root.glob("artifacts/*/artifacts/config.yaml")]) >= 3  # the sweep's own, too
        with delivering(root) as driver:
            said = [driver.stdout.readline().strip()]
            while not said[-1].endswith("wait"):
                said.append(go_on(driver))
        assert said[-1] == "0 wait"
        assert not any(word.startswith("!") for word in said)  # nothing had to be delivered again
        assert problems(root) == []


@pytest.mark.slow
def test_five_instants_of_a_real_sweep(disk):
    images = []
    with disk.mounted() as root, Driver(root / "outputs", module="sweeps.run") as driver:
        for number in (1, 2, 4, 7):
            wait_for(lambda least=number: len(finished_keys(root / "outputs")) >= least, f"{number} results")
            images.append(disk.cut(f"after {number}"))
        driver.finish()
        images.append(disk.cut("after the end"))
    for image in images:
        with disk.mounted(image) as root:
            there = len(finished_keys(root / "outputs"))
            with Driver(root / "outputs", module="sweeps.run") as driver:
                assert driver.wait(TIMEOUT_S) == 0, driver.said
            assert not list(root.glob("outputs/damaged-*")), f"{image.name}: {there} were there"
            assert problems(root / "outputs", *SWEEP) == [], image.name
