"""Drivers in processes of their own, and what they leave behind: lost, repeated, stuck."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.specs import Plan
from sweeps.store import ResultStore
from sweeps.tracking import prepare_environment
from tests.helpers.light import journal

ROOT = Path(__file__).parents[2]
SWEEP = (
    "method=[weight,unit]",
    "debug=quick",
    "sparsities=[0.2,0.5,0.8]",
    "model=lenet_300_100",
    "measure.latency=false",
    "compute.num_cpus=2",
    "compute.num_gpus=0",
)
"""One dense network and six trials."""
TIMEOUT_S = 300.0
TOTALS: list[str] = []
"""A line for each thing that was done to a sweep, printed at the end of the tests."""


def planned(*overrides: str) -> Plan:
    """The plan of a command line."""
    return make_plan(settings_of(compose(overrides)))


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout_s:g} s")
        time.sleep(0.02)


class Driver:
    """A sweep in a process of its own; what it prints goes to a file.

    Args:
        root: its storage.root.
        overrides: the rest of its command line.
        module: `sweeps.run`, or `tests.helpers.light` for work without TensorFlow.
        machine: the command that it is an argument of, see `tests.helpers.machines`.
        environment: added to this process's.
    """

    started = 0

    def __init__(
        self,
        root: Path,
        overrides: Sequence[str] = SWEEP,
        module: str = "tests.helpers.light",
        machine: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.root = root
        self.overrides = (*overrides, f"storage.root={root}")
        Driver.started += 1
        self._log = root.parent / f"driver-{Driver.started}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [*machine, sys.executable, "-m", module, *self.overrides],
                cwd=ROOT, env={**os.environ, **quiet, **environment}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.process = psutil.Process(self._popen.pid)

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in [*self.family(), self.process]:
            _kill(process)
        self._popen.wait()

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def family(self) -> list[psutil.Process]:
        """Its living descendants: Ray's processes and the workers."""
        try:
            return self.process.children(recursive=True)
        except psutil.Error:
            return []

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for its end; its exit code."""
        return self._popen.wait(timeout_s)

    def finish(self) -> str:
        """Wait for it to end well; what it printed."""
        code = self.wait()
        assert code == 0, f"exit code {code}\n{self.said}"
        return self.said

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def kill(self) -> list[psutil.Process]:
        """SIGKILL; returns the descendants that it had."""
        left = self.family()
        self.signal(signal.SIGKILL)
        self._popen.wait()
        return left

    def kill_after(self, results: int, seconds: float) -> list[psutil.Process]:
        """SIGKILL so many seconds after so many results are there, or never if it ends before."""
        wait_for(lambda: not self.running or len(finished_keys(self.root)) >= results, f"{results} results")
        time.sleep(seconds)
        return self.kill() if self.running else []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def finished_keys(root: Path) -> set[str]:
    """Keys of the results in the store, judged by names alone."""
    return {path.parent.name for path in (root / "results").glob("[!.]*/result.json")}


def fingerprints(root: Path) -> dict[str, tuple[int, int, str]]:
    """{file of a result: (inode, time of its last change, digest)}: equal until the file is made again."""
    found = {}
    for key in finished_keys(root):
        for path in (root / "results" / key).rglob("*"):
            if path.is_file():
                stat = path.stat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(root))] = (stat.st_ino, stat.st_mtime_ns, digest)
    return found


@dataclass
class Findings:
    """What is wrong after a sweep that should have gone well."""

    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(self.lost + other.lost, self.repeated + other.repeated, self.stuck + other.stuck)

    def __str__(self) -> str:
        figures = f"lost {len(self.lost)}, repeated {len(self.repeated)}, stuck {len(self.stuck)}"
        return "\n".join([figures, *self.lost, *self.repeated, *self.stuck])

    def none(self) -> bool:
        return not (self.lost or self.repeated or self.stuck)


def conclude(what: str, findings: Findings) -> None:
    """Print what was done and the findings, and fail if anything is wrong."""
    TOTALS.append(f"{what}: {str(findings).splitlines()[0]}")
    print(TOTALS[-1])
    assert findings.none(), f"{what}\n{findings}"


def repeats(root: Path, before: dict[str, tuple[int, int, str]], gone: Sequence[str] = ()) -> list[str]:
    """Finished results (but those whose keys are `gone`) that were made again since `before`."""
    now = fingerprints(root)
    changed = [name for name, what in before.items() if now.get(name) != what and name.split("/")[1] not in gone]
    return [f"{name} was made again" for name in changed]


def audit(root: Path, plan: Plan, uri: str | None = None, allowed: Sequence[str] = ()) -> Findings:
    """Compare the store, the journal of light work and MLflow with the plan.

    Args:
        root: storage.root.
        plan: what should be finished.
        uri: of MLflow; None: the database under `root`.
        allowed: keys whose results were damaged on purpose, so that they had to be made again.
    """
    findings = Findings()
    keys = [work.key for work in plan]
    store = ResultStore(root)
    results = {key: store.load(key) for key in keys}
    findings.lost += [f"{key}: no intact result" for key, result in results.items() if result is None]
    ended: set[str] = set()
    for key, event in journal(root):
        if event == "start" and key in ended and key not in allowed:
            findings.repeated.append(f"{key}: started again after it had ended")
        ended |= {key} if event == "end" else set()
    findings.stuck += [f"{path} is left over" for path in (root / "results").glob(".*")]
    client = client_of(root, uri)
    experiment = client.get_experiment_by_name("prune-sweep").experiment_id
    ours = f"tags.`sweep.id` = '{plan.sweep_id}'"
    runs = client.search_runs([experiment], ours, max_results=1000)
    findings.stuck += [f"run {run.info.run_id} is {run.info.status}" for run in runs if run.info.status != "FINISHED"]
    tags = [run.data.tags for run in runs]
    counts = Counter(tag.get("trial.key") or tag.get("baseline.key") or "the sweep" for tag in tags)
    findings.lost += [f"{key}: no run" for key in ("the sweep", *keys) if not counts[key]]
    findings.repeated += [f"{key}: {count} runs" for key, count in counts.items() if count > 1]
    for run, tag in zip(runs, tags, strict=True):
        result = results.get(tag.get("trial.key") or tag.get("baseline.key") or "")
        if result and not _has_artifacts(client, run.info.run_id, result.files):
            findings.lost.append(f"the artifacts of {result.key} are not the files in the store")
    return findings


def _has_artifacts(client: Any, run_id: str, files: Mapping[str, str]) -> bool:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            paths = {name: Path(client.download_artifacts(run_id, name, folder)) for name in files}
        except MlflowException:
            return False
        return all(hashlib.sha256(paths[name].read_bytes()).hexdigest() == digest for name, digest in files.items())


def client_of(root: Path, uri: str | None = None) -> Any:
    """A client of MLflow."""
    prepare_environment()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri or f"sqlite:///{root}/mlflow.db")
