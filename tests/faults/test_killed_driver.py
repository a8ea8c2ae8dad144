"""A driver that is killed at any instant; then the same command again.

The instants come from a seed, which is printed: FAULTS_SEED=... repeats them, though a machine is not always as fast.
"""

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import prune_core
from sweeps.store import ResultStore
from tests.helpers.drivers import (
    SWEEP,
    Driver,
    alive,
    audit,
    fingerprints,
    finished_keys,
    planned,
    repeats,
)

SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10**6)))
PLAN = planned(*SWEEP)


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """A folder for temporary files; pytest's own are too long for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="killed-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, temporary) -> tuple[Path, list[str], list[psutil.Process]]:
    """A real sweep that ended although its driver was killed twice; what was repeated, which processes were left."""
    root = tmp_path_factory.mktemp("killed") / "outputs"
    folders = {name: str(temporary) for name in ("TMPDIR", "RAY_TMPDIR")}
    chance = random.Random(SEED)
    repeated: list[str] = []
    orphans: list[psutil.Process] = []
    before: dict = {}
    for results in (chance.randrange(3), chance.randrange(1, 4)):  # Ray runs at one of the kills, much is left to do
        seconds = chance.uniform(0, 0.5)
        with Driver(root, module="sweeps.run", **folders) as driver:
            orphans += driver.kill_after(results, seconds)
            repeated += repeats(root, before)
            before = fingerprints(root)
        print(f"seed {SEED}: killed {seconds:.2f} s after result {results}, with {len(finished_keys(root))} results")
    with Driver(root, module="sweeps.run", **folders) as driver:
        driver.finish()
    return root, repeated + repeats(root, before), orphans


def test_the_same_command_again_completes_the_sweep_and_repeats_nothing(killed):
    root, repeated, _ = killed
    assert not repeated
    findings = audit(root, PLAN)
    assert findings.none(), findings


def test_nothing_of_a_killed_driver_lives_on_beside_the_next(killed):
    _, _, orphans = killed
    assert orphans
    assert not alive(orphans)


def test_nothing_is_left_of_killed_processes_among_the_temporary_files(killed, temporary):
    assert not [*temporary.iterdir()]


@pytest.mark.slow
def test_kills_and_resumes_leave_no_trace_in_the_results(killed, tmp_path):
    """One process that did other work before does the same trials in another order: equal bits."""
    root, *_ = killed
    other = tmp_path / "outputs"
    with Driver(other, module="tests.helpers.warm") as driver:
        driver.finish()
    first, second = ResultStore(root), ResultStore(other)
    for trial in PLAN.trials:
        one, two = first.load(trial.key), second.load(trial.key)
        assert one is not None
        assert two is not None
        assert one.metrics == two.metrics, trial.label
        masks, others = (prune_core.load_masks(store.folder(trial.key) / "masks.npz") for store in (first, second))
        assert masks.keys() == others.keys()
        assert all(np.array_equal(masks[path], others[path]) for path in masks), trial.label
        assert one.files["network.pruned"] == two.files["network.pruned"]
