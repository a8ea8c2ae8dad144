"""The whole stack as processes of this machine: its doors, its secrets, and a sweep that runs on it."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from sweeps.store import ResultStore
from tests.cluster.test_doors import DOCUMENT
from tests.helpers.cluster.doors import OPEN, REFUSED
from tests.helpers.cluster.stack import Stack, require_postgres, stack
from tests.helpers.drivers import ROOT, fingerprints, planned, repeats
from tests.helpers.servers import reachable_by_others

pytestmark = pytest.mark.slow
SWEEP = ("method=weight", "sparsities=[0.5,0.9]", "debug=quick", "model=lenet_300_100", "measure.latency=false")
END_S = 900.0


def test_doors_are_shut_and_secrets_kept(tmp_path: Path) -> None:
    with stack(tmp_path / "stack") as running:
        knock(running)
        another_name_is_refused(running)
        nobody_sees_a_secret(running)


def test_sweep_from_nothing_and_again_after_a_restart(tmp_path: Path) -> None:
    require_postgres()
    folder = tmp_path / "stack"
    folder.mkdir()
    root = folder / "state" / "work" / "outputs"
    run(folder)
    store = ResultStore(root)
    assert all(store.load(work.key) for work in planned(*SWEEP, f"storage.root={root}"))
    before = fingerprints(root)
    run(folder)
    assert not repeats(root, before)


def run(folder: Path) -> None:
    """Start the stack, run the sweep on it, and stop it."""
    with reachable_by_others(folder):
        done = subprocess.run(
            [sys.executable, "docker/stack", "--folder", str(folder), *SWEEP],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=END_S, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def knock(running: Stack) -> None:
    """Every door is shut, as the document shows."""
    shown = DOCUMENT.read_text()
    for door in running.doors():
        without, wrong, right = door.answers()
        row = door.row(without, wrong, right)
        assert without.startswith(REFUSED), row
        assert wrong.startswith(REFUSED), row
        assert right.startswith(OPEN), row
        assert row in shown, row


def another_name_is_refused(running: Stack) -> None:
    """A page of another site, whose name resolves to this server, learns nothing from it."""
    request = urllib.request.Request(running.mlflow, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 403


def nobody_sees_a_secret(running: Stack) -> None:
    """They are not in command lines, environments or logs of processes; only their owner can read the files."""
    files = [path for path in (running.folder / "secrets").rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    secrets = running.secrets
    for process in psutil.process_iter():
        try:
            shown = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        seen = [name for name, secret in secrets.items() if any(secret in word for word in shown)]
        assert not seen, (process.pid, seen)
    for log in running.written():
        text = log.read_text(errors="replace")
        assert not [name for name, secret in secrets.items() if secret in text], log
