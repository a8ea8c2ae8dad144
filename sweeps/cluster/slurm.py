"""Sweeps as batch jobs of Slurm, each with a Ray cluster of its own inside the allocation (`slurm_job.sh`)."""

import re
import shlex
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from prune_core.errors import UserError
from sweeps.cluster import preflight
from sweeps.cluster.base import Submission, Target
from sweeps.cluster.interrupted import wants_stop
from sweeps.cluster.slurm_queue import Job, ask, jobs
from sweeps.config import Settings, at_least, typed
from sweeps.machines import Node, Request, Room, room_for
from sweeps.tracking import check_shared

POLL_S = 2.0
STOP_WAIT_S = 60.0
"""Seconds that a stopped sweep gets to end in order, before the job is cancelled."""
STOPPED = 143
"""Exit code for a sweep that was stopped: that of a process after SIGTERM."""
WARNING_S = 120
"""Seconds before the time limit when the driver is told to end in order."""

_WORD = re.compile(r"[\w.@:,+-]+")
_TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


@dataclass(frozen=True)
class SlurmSettings:
    """The section compute.slurm, explained in conf/compute/slurm.yaml."""

    nodes: int = 1
    cpus_per_node: int = 4
    gpus_per_node: int = 0
    gpu_type: str | None = None
    memory_mb_per_node: int | None = None
    time: str = "08:00:00"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    python: str | None = None


def open_target(settings: Settings) -> Target:
    """The Slurm cluster that this machine submits to; no request is sent yet. Raises UserError."""
    own = typed(SlurmSettings, "compute.slurm", settings.compute.submission)
    for name, least in (("nodes", 1), ("cpus_per_node", 1), ("gpus_per_node", 0), ("memory_mb_per_node", 1)):
        at_least(f"compute.slurm.{name}", getattr(own, name), least)
    if not _TIME.fullmatch(own.time):
        raise UserError(f"compute.slurm.time={own.time} is not a time limit of Slurm: write hours:minutes:seconds")
    for name in ("gpu_type", "partition", "account", "qos"):
        value = getattr(own, name)
        if value is not None and not _WORD.fullmatch(value):
            raise UserError(f"compute.slurm.{name}={value!r} is not a name that Slurm knows: write it without spaces")
    return Slurm(settings, own)


class Slurm:
    """A `Target`. Script, log and exit code of a job lie in the folder `slurm` of storage.root, which nodes share."""

    def __init__(self, settings: Settings, own: SlurmSettings) -> None:
        self._own = own
        self._compute = settings.compute
        self._folder = settings.storage.root / "slurm"

    def preview(self, submission: Submission) -> str:
        preflight.check_no_secrets(submission.overrides)
        check_shared(submission.settings.tracking, submission.settings.storage.root)
        self._room()
        root = submission.settings.storage.root
        arguments = submission.driver_arguments("auto", f"storage.root='{root}'")
        variables = {
            "folder": str(self._folder),
            "exit_code": str(self._file(submission.name, "exit")),
            "code": str(Path(__file__).parents[2]),
            "python": self._own.python or sys.executable,
            "cpus": str(self._own.cpus_per_node),
            "gpus": str(self._own.gpus_per_node),
        }
        return "\n".join(
            (
                "#!/bin/bash",
                *(f"#SBATCH --{option}" for option in self._options(submission.name)),
                "",
                *(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
                f"sweep=({shlex.join(arguments)})",
                "",
                (resources.files("sweeps.cluster") / "slurm_job.sh").read_text().rstrip(),
            )
        )

    def submit(self, submission: Submission) -> int:
        script = self.preview(submission)
        name = submission.name
        running = self._job(name)
        if running is not None:
            print(f"{name} is running it as job {running.number} ({running.state}): its log follows", flush=True)
            return self._follow(name, 0)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, log = self._file(name, "sh"), self._file(name, "log")
        path.write_text(script + "\n")
        self._file(name, "exit").unlink(missing_ok=True)
        start = log.stat().st_size if log.exists() else 0
        number = ask("sbatch", "--parsable", str(path)).strip().partition(";")[0]
        print(f"{name} is submitted as job {number}: {self._room()}; log: {log}", flush=True)
        return self._follow(name, start)

    def status(self, name: str) -> int:
        job = self._job(name)
        print(f"{name} {job.line}" if job else self._past(name))
        return 0

    def logs(self, name: str) -> int:
        self._past(name)
        return self._follow(name, 0)

    def stop(self, name: str) -> int:
        job = self._job(name)
        if job is None:
            print(self._past(name))
            return 0
        self._end(name, job)
        return 0

    def list(self) -> int:
        known = jobs()
        for job in known:
            print(f"{job.name:<28} {job.line}")
        if not known:
            print(f"no sweep is queued or running; logs of earlier ones: {self._folder}")
        return 0

    def _options(self, name: str) -> tuple[str, ...]:
        own = self._own
        gpus = f"{own.gpu_type}:{own.gpus_per_node}" if own.gpu_type else own.gpus_per_node
        options: dict[str, Any] = {
            "job-name": name,
            "nodes": own.nodes,
            "ntasks-per-node": 1,
            "cpus-per-task": own.cpus_per_node,
            "gpus-per-node": gpus if own.gpus_per_node else None,
            "mem": f"{own.memory_mb_per_node}M" if own.memory_mb_per_node else None,
            "time": own.time,
            "partition": own.partition,
            "account": own.account,
            "qos": own.qos,
            "output": _as_pattern(self._file(name, "log")),
            "open-mode": "append",
            "signal": f"B:TERM@{WARNING_S}",
            # Other variables, which may hold passwords, are not to be kept with the job.
            "export": "HOME,LANG,PATH,USER",
        }
        return "requeue", *(f"{key}={value}" for key, value in options.items() if value is not None)

    def _room(self) -> Room:
        """What runs at once in the allocation. Raises UserError for a trial that fits on no node of it."""
        own = self._own
        memory = (own.memory_mb_per_node or 2**40) * 2.0**20
        types = frozenset(filter(None, [self._compute.accelerator_type]))
        node = Node(own.cpus_per_node, own.gpus_per_node, memory, types)
        return room_for(Request.of(self._compute), [node] * own.nodes, "the allocation", self._compute.max_concurrent)

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"

    def _job(self, name: str) -> Job | None:
        return next((job for job in jobs() if job.name == name), None)

    def _past(self, name: str) -> str:
        """How a past job has ended. Raises UserError if no job of that name was submitted from here."""
        if not self._file(name, "sh").exists():
            raise UserError(
                f"no sweep {name} was submitted with this storage.root: prune-sweep submit list compute=slurm"
            )
        code = self._exit_code(name)
        return f"{name} has ended with exit code {code}" if code is not None else f"{name} has ended before its sweep"

    def _exit_code(self, name: str) -> int | None:
        try:
            return int(self._file(name, "exit").read_text())
        except (OSError, ValueError):  # not there, or not written whole
            return None

    def _follow(self, name: str, start: int) -> int:
        """Print the log from byte `start` on until the job has ended; the sweep's own exit code."""
        log = self._file(name, "log")
        try:
            while True:
                job = self._job(name)
                start += _print_from(log, start)
                if job is None:
                    break
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            job = self._job(name)
            if job is not None and wants_stop(name, "compute=slurm"):
                self._end(name, job)
            return 130
        code = self._exit_code(name)
        if code is None:
            print(f"error: {name} has ended before its sweep: see {log}", file=sys.stderr)
        return STOPPED if code is None else code

    def _end(self, name: str, job: Job) -> None:
        if job.state == "RUNNING":
            ask("scancel", "--batch", "--signal=TERM", job.number)
            deadline = time.monotonic() + STOP_WAIT_S
            while self._job(name) is not None and time.monotonic() < deadline:
                time.sleep(POLL_S)
        if self._job(name) is not None:
            ask("scancel", job.number)
        print(f"{name} is stopped: submit the same sweep again to resume it, finished work is kept")


def _print_from(path: Path, start: int) -> int:
    """Print the file from byte `start` on; returns how many bytes were printed."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return 0
    print(text.decode(errors="replace"), end="", flush=True)
    return len(text)


def _as_pattern(path: Path) -> str:
    """A path as a quoted file name pattern of Slurm. Raises UserError for one that a comment cannot hold."""
    if re.search(r'["\\\n]', str(path)):
        raise UserError(
            f"storage.root={path.parent.parent} has characters that Slurm's scripts cannot hold: choose another"
        )
    return '"' + str(path).replace("%", "%%") + '"'
