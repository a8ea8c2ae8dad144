"""Two sweeps at once, SIGTERM, damaged files, and the same command again, with light work."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sweeps.engine.orphans import folder_of
from sweeps.store import ResultStore
from tests.helpers.drivers import (
    SWEEP,
    Driver,
    Findings,
    alive,
    audit,
    client_of,
    fingerprints,
    finished_keys,
    planned,
    repeats,
    wait_for,
)
from tests.helpers.light import journal

PLAN = planned(*SWEEP)
# Shares the dense network and two trials.
OTHER = ("method=[unit,random]", *SWEEP[1:2], "sparsities=[0.2,0.5]", *SWEEP[3:])
OTHER_PLAN = planned(*OTHER)


@dataclass
class Story:
    """What happened, see `story`."""

    root: Path
    pid: int
    second: tuple[int, str]
    ended: tuple[int, str]
    left: list[psutil.Process]
    after_signal: list[str]
    starts: list[str]
    damaged: list[str]
    repeated: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    """A sweep and another one that shares work with it start together; a second driver of the first one tries to start.

    The first one, which does not come to an end by itself, gets SIGTERM; some of what it has left is damaged; the same
    command again.
    """
    root = tmp_path_factory.mktemp("interrupted") / "outputs"
    endless = json.dumps({PLAN.trials[2].key: "wait"})
    with (
        Driver(root, LIGHT_SECONDS="1", LIGHT_TROUBLE=endless) as first,
        Driver(root, OTHER, LIGHT_SECONDS="1") as other,
    ):
        wait_for(lambda: any((root / "sweeps" / PLAN.sweep_id).glob("driver.lock")), "the first driver")
        with Driver(root) as second:
            refused = second.wait(), second.said
        wait_for(lambda: len(finished_keys(root) & {work.key for work in PLAN}) >= 3, "three results")
        left = first.family()
        first.signal(signal.SIGTERM)
        ended = first.wait(), first.said
        other.finish()
    starts = [key for key, event in journal(root) if event == "start"]
    finished = [work.key for work in PLAN if ResultStore(root).load(work.key)]
    damaged = finished[-2:]
    spoil(root, *damaged)
    before = fingerprints(root)
    lines = len(journal(root))
    with Driver(root) as again:
        again.finish()
    after = [key for key, event in journal(root)[lines:] if event == "start"]
    return Story(root, first.process.pid, refused, ended, left, after, starts, damaged, repeats(root, before, damaged))


def spoil(root: Path, one: str, two: str) -> None:
    """A record that is cut short, masks with a wrong byte, an outbox with a torn line, remains of killed workers."""
    record = root / "results" / one / "result.json"
    record.write_bytes(record.read_bytes()[:100])
    masks = root / "results" / two / "masks.npz"
    content = bytearray(masks.read_bytes())
    content[len(content) // 2] ^= 1
    masks.write_bytes(content)
    for ledger in root.glob("sweeps/*/delivered-*.jsonl"):
        lines = ledger.read_bytes().splitlines(keepends=True)
        lines[len(lines) // 2] = b"\x00\xff not json\n"  # a sweep that was ended early may have delivered nothing yet
        ledger.write_bytes(b"".join(lines)[:-10])
    remains = root / "results" / f".{one}-abcdefgh"
    remains.mkdir()
    (remains / "masks.npz").write_bytes(b"half")
    (root / "results" / f".{two}.lock").touch()


def test_a_second_driver_of_the_same_sweep_is_told_who_is_at_it(story):
    code, said = story.second
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith("error: this sweep is running already")
    assert f"process {story.pid} on " in line


def test_sweeps_that_share_work_do_it_once(story):
    shared = {work.key for work in PLAN} & {work.key for work in OTHER_PLAN}
    assert len(shared) == 3
    baseline = PLAN.baselines[0].key
    assert story.starts.count(baseline) == 1
    findings = audit(story.root, OTHER_PLAN, allowed=story.damaged)
    assert findings.none(), findings


def test_sigterm_ends_a_sweep_in_order_and_says_how_to_go_on(story):
    code, said = story.ended
    assert code == 128 + signal.SIGTERM
    assert "run the same command again to go on" in said
    assert "Traceback" not in said
    assert not alive(story.left)


def test_sigterm_before_ray_has_started_ends_it_too(tmp_path):
    root = tmp_path / "outputs"
    with Driver(root) as driver:
        wait_for(lambda: "results go to" in driver.said or not driver.running, "the first line")
        driver.signal(signal.SIGTERM)
        assert driver.wait() == 128 + signal.SIGTERM, driver.said
        assert "run the same command again to go on" in driver.said
    assert not folder_of(root / "sweeps" / PLAN.sweep_id).exists()


def test_only_what_is_missing_or_damaged_is_made_again(story):
    assert not story.repeated
    assert set(story.damaged) <= set(story.after_signal)
    assert len(story.after_signal) == len(set(story.after_signal))
    findings = audit(story.root, PLAN, allowed=story.damaged)
    assert findings.none(), findings


def test_what_is_damaged_is_kept_aside(story):
    assert {folder.parent.name[:8] for folder in story.root.glob("damaged-*/*")} == {"damaged-"}
    assert {folder.name for folder in story.root.glob("damaged-*/*")} == set(story.damaged)


@pytest.fixture
def read_only(tmp_path) -> Iterator[Path]:
    """A folder in which nothing can be made, not even by root."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount = shutil.which("mount")
    if not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "ro,size=1m", "none", folder]).returncode:
        pytest.skip("this root may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_read_only_folder_is_said_at_once(read_only):
    with Driver(read_only) as driver:
        assert driver.wait() == 2
        (line,) = driver.said.splitlines()
        assert line.startswith(f"error: storage.root={read_only} cannot be written (")


def test_findings_are_found(tmp_path, story):
    """The audit itself: a missing result, and a second run that is empty and left running."""
    root = tmp_path / "outputs"
    shutil.copytree(story.root, root)
    shutil.rmtree(root / "results" / PLAN.trials[0].key)
    client = client_of(root)
    experiment = client.get_experiment_by_name("prune-sweep").experiment_id
    tags = {"sweep.id": PLAN.sweep_id, "trial.key": PLAN.trials[1].key}
    client.create_run(experiment, tags=tags)
    findings: Findings = audit(root, PLAN, allowed=story.damaged)
    assert [len(findings.lost), len(findings.repeated), len(findings.stuck)] == [2, 1, 1], findings
