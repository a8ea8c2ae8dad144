"""Sweeps as RayJobs of the KubeRay operator, through kubectl."""

import json
import re
import subprocess
import sys
import time
from typing import Any

import yaml

from prune_core.errors import UserError
from sweeps.cluster import preflight
from sweeps.cluster.base import Submission, Target
from sweeps.cluster.interrupted import wants_stop
from sweeps.cluster.rayjob import LABELS, WORK, KubeRaySettings, manifest
from sweeps.config import Settings, at_least, typed
from sweeps.machines import Node, Request, Room, room_for
from sweeps.tracking import check_shared

POLL_S = 5.0
STOPPED = 143
"""Exit code for a sweep that was stopped: that of a process after SIGTERM."""

LEAST = {
    **dict.fromkeys(
        ("workers", "cpus_per_worker", "memory_mb_per_worker", "head_cpus", "head_memory_mb", "deadline_s"), 1
    ),
    **dict.fromkeys(("gpus_per_worker", "retries", "ttl_s"), 0),
}
"""{key of compute.kuberay: its smallest value}."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_EXIT_CODE = re.compile(r"exit code (\d+)")
_WHERE = "compute=kuberay"


def open_target(settings: Settings) -> Target:
    """The cluster that kubectl talks to; no request is sent yet. Raises UserError."""
    own = typed(KubeRaySettings, "compute.kuberay", settings.compute.submission)
    for name, least in LEAST.items():
        at_least(f"compute.kuberay.{name}", getattr(own, name), least)
    for name in ("namespace", "volume_claim", "credentials"):
        value = getattr(own, name)
        if value is not None and not _NAME.fullmatch(value):
            raise UserError(f"compute.kuberay.{name}={value!r} is not a name that Kubernetes takes: use a-z, 0-9 and -")
    return KubeRay(settings, own)


class _Plain(yaml.SafeDumper):
    """Writes no anchors, because people read manifests too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class KubeRay:
    """A `Target`."""

    def __init__(self, settings: Settings, own: KubeRaySettings) -> None:
        self._compute = settings.compute
        self._own = own

    def preview(self, submission: Submission) -> str:
        preflight.check_no_secrets(submission.overrides)
        check_shared(submission.settings.tracking, submission.settings.storage.root)
        if not self._own.image.strip():
            raise UserError(
                "compute.kuberay.image is missing: name the image made from docker/Dockerfile, as nodes pull it"
            )
        self._room()
        there = self._with_storage(submission)
        job = manifest(self._own, submission.name, there.driver_arguments())
        return yaml.dump(job, Dumper=_Plain, sort_keys=False, width=120).rstrip()

    def submit(self, submission: Submission) -> int:
        text = self.preview(submission)
        name = submission.name
        known = self._job(name)
        if known is not None and _has_ended(known):
            print(f"{name} has ended ({_state(known)}): finished work is not done again", flush=True)
            self._kubectl("delete", "rayjob", name, "--wait=true")
            known = None
        if known is None:
            self._kubectl("apply", "--filename=-", given=text)
            print(f"{name} is submitted: {self._room()}", flush=True)
        else:
            print(f"{name} is running it ({_state(known)}): its log follows", flush=True)
        return self._follow(name)

    def status(self, name: str) -> int:
        print(_line(self._find(name)))
        return 0

    def logs(self, name: str) -> int:
        self._find(name)
        return self._follow(name)

    def stop(self, name: str) -> int:
        self._find(name)
        self._stop(name)
        return 0

    def list(self) -> int:
        label = ",".join(f"{key}={value}" for key, value in LABELS.items())
        jobs = json.loads(self._kubectl("get", "rayjobs", f"--selector={label}", "--output=json"))["items"]
        for job in jobs:
            print(_line(job))
        if not jobs:
            print("no sweep was submitted there")
        return 0

    def _with_storage(self, submission: Submission) -> Submission:
        given = any(override.startswith("storage.root=") for override in submission.overrides)
        if self._own.volume_claim and not given:
            overrides = (*submission.overrides, f"storage.root={WORK}/outputs", f"storage.data={WORK}/data")
            return Submission(submission.settings, submission.plan, overrides)
        return preflight.with_storage_there(submission)

    def _room(self) -> Room:
        """What runs at once on the workers. Raises UserError for a trial that fits on none of them."""
        own = self._own
        types = frozenset(filter(None, [self._compute.accelerator_type]))
        node = Node(own.cpus_per_worker, own.gpus_per_worker, own.memory_mb_per_worker * 2.0**20, types)
        where = "the workers of compute.kuberay"
        return room_for(Request.of(self._compute), [node] * own.workers, where, self._compute.max_concurrent)

    def _job(self, name: str) -> dict[str, Any] | None:
        text = self._kubectl("get", "rayjob", name, "--ignore-not-found", "--output=json")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def _find(self, name: str) -> dict[str, Any]:
        job = self._job(name)
        if job is None:
            raise UserError(f"Kubernetes knows no RayJob {name}: prune-sweep submit list {_WHERE} shows its sweeps")
        return job

    def _follow(self, name: str) -> int:
        """Print the driver's log until the job has ended; the sweep's own exit code."""
        try:
            while True:
                job = self._find(name)
                if _has_ended(job):
                    return _exit_code(job)
                if _state(job) == "Running":
                    subprocess.run(self._command("logs", "--follow", f"job/{name}"), check=False)
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            if wants_stop(name, _WHERE):
                self._stop(name)
            return 130

    def _stop(self, name: str) -> None:
        self._kubectl("delete", "rayjob", name, "--wait=true")
        print(f"{name} is stopped: submit the same sweep again to resume it, finished work is kept")

    def _command(self, *words: str) -> tuple[str, ...]:
        namespace = self._own.namespace
        return ("kubectl", *((f"--namespace={namespace}",) if namespace else ()), *words)

    def _kubectl(self, *words: str, given: str | None = None) -> str:
        """What kubectl prints. Raises UserError if it is not here, or fails."""
        try:
            done = subprocess.run(self._command(*words), input=given, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise UserError(
                "kubectl is not here: see the manifest with --print, and apply it where kubectl is"
            ) from None
        if done.returncode:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise UserError(f"kubectl refuses: {reason}")
        return done.stdout


def _state(job: dict[str, Any]) -> str:
    return str(job.get("status", {}).get("jobDeploymentStatus") or "Waiting")


def _has_ended(job: dict[str, Any]) -> bool:
    return _state(job) in ("Complete", "Failed", "ValidationFailed")


def _exit_code(job: dict[str, Any]) -> int:
    status = job.get("status", {})
    if status.get("jobStatus") == "SUCCEEDED":
        return 0
    message = str(status.get("message") or status.get("reason") or "no reason is given")
    print(f"error: {job['metadata']['name']}: {message.splitlines()[0]}", file=sys.stderr)
    said = _EXIT_CODE.search(message)
    return STOPPED if status.get("jobStatus") == "STOPPED" else int(said[1]) if said else 1


def _line(job: dict[str, Any]) -> str:
    status = job.get("status", {})
    started, driver = status.get("startTime", ""), status.get("jobStatus") or ""
    return f"{job['metadata']['name']:<28} {_state(job):<13} {driver:<10} {started}"
