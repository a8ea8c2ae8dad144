"""Sweeps as jobs of a Ray cluster: the same sweep twice is the same job."""

import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from prune_core.errors import UserError
from sweeps.cluster import interrupted, preflight
from sweeps.cluster.base import Submission, Target
from sweeps.cluster.upload import Upload, pack
from sweeps.config import Settings, one_of, typed
from sweeps.machines import Node, Request, ready_token, room_for
from sweeps.process import Terminated
from sweeps.terminal import format_duration, summary
from sweeps.tracking import check_shared

if TYPE_CHECKING:  # Ray is imported when a cluster is talked to
    from ray.dashboard.modules.job.pydantic_models import JobDetails
    from ray.util.state.common import NodeState

    from sweeps.cluster.jobs_api import Client

RUNTIMES = ("image", "lock")
STOP_WAIT_S = 30
"""Seconds that a stopped sweep gets to end in order; Ray's own choice is 3."""
STOPPED, INTERRUPTED = 143, 130
"""Exit codes: the sweep was stopped (as after SIGTERM), or is no longer followed (as after SIGINT)."""
WHAT = "prune_sweep"
"""Entry of a job's metadata that only sweeps have; it describes the sweep."""
_A_LITTLE = 0.001
_WITH_LOG = ", last available logs"
"""The words before the end of the log in the message of a failed job, as Ray writes them."""


@dataclass(frozen=True)
class RayJobsSettings:
    """The section compute.ray_jobs, explained in conf/compute/ray_jobs.yaml."""

    runtime: str = "image"
    python: str = "python"
    driver_cpus: float = 0
    upload_inputs: bool = True


def open_target(settings: Settings) -> Target:
    """The jobs of the cluster at compute.address; no request is sent yet. Raises UserError."""
    own = typed(RayJobsSettings, "compute.ray_jobs", settings.compute.submission)
    one_of("compute.ray_jobs.runtime", own.runtime, RUNTIMES)
    if not 0 <= own.driver_cpus <= 1:
        raise UserError(f"compute.ray_jobs.driver_cpus={own.driver_cpus:g} must be a number from 0 to 1")
    return RayJobs(settings, own)


class RayJobs:
    """A `Target`. A sweep's job is called `prune-sweep-<sweep id>`, its second attempt the same with `-2`."""

    def __init__(self, settings: Settings, own: RayJobsSettings) -> None:
        self._settings = settings
        self._own = own

    def preview(self, submission: Submission) -> str:
        request, upload = self._request(submission)
        names = sorted(name for name in upload.files if not name.endswith(".py"))
        shown = {"address": self._settings.compute.address, "submission_id": submission.name, **request}
        code = f"and {len(upload.files) - len(names)} files of Python"
        return str(yaml.safe_dump({**shown, "upload": [*names, code]}, sort_keys=False, width=120)).rstrip()

    def submit(self, submission: Submission) -> int:
        request, upload = self._request(submission)
        client = self._connect()
        earlier = _attempts(client, submission.name)
        code = self._attach(client, earlier[-1]) if earlier else None
        used = _number(_id(earlier[-1]), submission.name) if earlier else 0
        for number in range(used + 1, used + 2 + self._settings.compute.max_retries):
            if code is not None:
                break
            job = submission.name if number == 1 else f"{submission.name}-{number}"
            self._start(client, job, request, upload)
            code = self._follow(client, job)
        return 1 if code is None else code

    def status(self, name: str) -> int:
        job = self._find(self._connect(), name)
        print(_line(job))
        if job.message:
            print(job.message.strip().splitlines()[0].partition(_WITH_LOG)[0])
        return 0

    def logs(self, name: str) -> int:
        client = self._connect()
        code = self._follow(client, _id(self._find(client, name)))
        return 1 if code is None else code

    def stop(self, name: str) -> int:
        client = self._connect()
        job = self._find(client, name)
        if job.status.is_terminal():
            print(f"{_id(job)} has ended already ({job.status.value})")
            return 0
        self._stop(client, _id(job))
        return 0

    def list(self) -> int:
        jobs = [job for job in self._connect().list_jobs() if WHAT in (job.metadata or {})]
        for job in sorted(jobs, key=lambda job: job.start_time or 0):
            print(_line(job))
        if not jobs:
            print("no sweep was submitted there")
        return 0

    def _connect(self) -> "Client":
        ready_token()
        from sweeps.cluster.jobs_api import connect

        return connect(self._settings.compute.address)

    def _request(self, submission: Submission) -> tuple[dict[str, Any], Upload]:
        """The arguments of `submit_job` except the job's name and place, and the files to upload."""
        preflight.check_no_secrets(submission.overrides)
        check_shared(submission.settings.tracking, submission.settings.storage.root)
        device = "gpu" if self._settings.compute.gpus_per_trial else "cpu"
        lock = [f"requirements/{name}.txt" for name in ("build", device)] if self._own.runtime == "lock" else []
        there, upload = pack(preflight.with_storage_there(submission), self._own.upload_inputs, lock)
        command = [self._own.python, "-m", "sweeps.run", *there.driver_arguments()]
        runtime: dict[str, Any] = {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}}
        if lock:
            runtime["pip"] = [f"-r ${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{name}" for name in lock]
        return {
            "entrypoint": f"exec {shlex.join(command)}",  # signals and the exit code are the sweep's own, not a shell's
            "runtime_env": runtime,
            "metadata": {WHAT: summary(submission.plan)},
        }, upload

    def _attach(self, client: "Client", job: "JobDetails") -> int | None:
        """Follow the job if it is running; None if it is not, or if it was lost."""
        if job.status.is_terminal():
            print(f"{_id(job)} has ended ({job.status.value}): finished work is not done again", flush=True)
            return None
        print(f"{_id(job)} is running it, {_age(job)}: its log follows", flush=True)
        return self._follow(client, _id(job))

    def _start(self, client: "Client", job: str, request: dict[str, Any], upload: Upload) -> None:
        """Submit the sweep; the same sweep that somebody else has submitted at the same moment counts as well."""
        from sweeps.cluster import jobs_api

        jobs_api.check_versions(client)
        machines = jobs_api.machines(client)
        nodes = [Node.of(machine.resources_total) for machine in machines]
        compute = self._settings.compute
        room = room_for(Request.of(compute), nodes, f"the cluster at {client.url}", compute.max_concurrent)
        with tempfile.TemporaryDirectory(prefix="prune-sweep-") as folder:
            archive = Path(folder) / "upload.zip"
            upload.write(archive)
            runtime = {**request["runtime_env"], "working_dir": str(archive)}
            try:
                client.submit_job(**{**request, **self._place(machines), "submission_id": job, "runtime_env": runtime})
            except RuntimeError as error:
                if not any(_id(found) == job for found in client.list_jobs()):
                    raise UserError(f"the cluster refuses the job: {str(error).splitlines()[0]}") from None
        print(f"{job} is submitted to {client.url}: {room}", flush=True)

    def _place(self, machines: "Sequence[NodeState]") -> dict[str, Any]:
        """Where the driver runs: on a worker machine, since the head may restart, and without using room of trials."""
        if self._own.driver_cpus:
            return {"entrypoint_num_cpus": self._own.driver_cpus}
        workers = [machine for machine in machines if not machine.is_head_node]
        if not workers:
            return {}
        calmest = min(workers, key=lambda machine: machine.resources_total.get("GPU", 0))
        return {"entrypoint_resources": {f"node:{calmest.node_ip}": _A_LITTLE}}

    def _find(self, client: "Client", name: str) -> "JobDetails":
        attempts = _attempts(client, name)
        if not attempts:
            raise UserError(
                f"{client.url} knows no job {name}: prune-sweep submit list {self._where()} shows its sweeps"
            )
        return attempts[-1]

    def _follow(self, client: "Client", job: str) -> int | None:
        """Follow to the end; the sweep's exit code, or None if it has none because its machine was lost."""
        from sweeps.cluster.follow import Follower

        try:
            ended = Follower(client, job).follow()
        except KeyboardInterrupt:
            if interrupted.wants_stop(job, self._where()):
                self._stop(client, job)
            return INTERRUPTED
        except Terminated:
            interrupted.leave(job, self._where())
            return STOPPED
        code = _exit_code(ended)
        if code is None:
            print(f"{job} was lost with its machine: finished work is not done again", flush=True)
        elif ended.driver_exit_code is None:
            print(f"{job} {ended.status.value.lower()}: {(ended.message or '').strip()}", file=sys.stderr, flush=True)
        return code

    def _stop(self, client: "Client", job: str) -> None:
        client.stop_job(job)
        deadline = time.monotonic() + 2 * STOP_WAIT_S
        while not client.get_job_info(job).status.is_terminal():
            if time.monotonic() > deadline:
                raise UserError(f"{job} does not end: prune-sweep submit status {job} {self._where()}")
            time.sleep(0.5)
        print(f"{job} is stopped: submit the same sweep again to resume it, finished work is kept")

    def _where(self) -> str:
        return f"compute=ray_jobs compute.address={self._settings.compute.address}"


def _attempts(client: "Client", name: str) -> "list[JobDetails]":
    """Jobs of the sweep of that name in order; for the name of one attempt, only this job."""
    found = {_id(job): job for job in client.list_jobs() if job.submission_id}
    numbered = {number: job for key, job in found.items() if (number := _number(key, name))}
    return [numbered[number] for number in sorted(numbered)]


def _number(job: str, name: str) -> int:
    """Which attempt of the sweep `name` a job is; 0 if it is not one."""
    number = job.removeprefix(f"{name}-")
    return 1 if job == name else int(number) if number != job and number.isdigit() else 0


def _id(job: "JobDetails") -> str:
    return str(job.submission_id)


def _exit_code(job: "JobDetails") -> int | None:
    """The sweep's own exit code; None if its machine was lost, so that another attempt may end better."""
    if job.driver_exit_code is not None:
        return job.driver_exit_code if job.driver_exit_code >= 0 else 128 - job.driver_exit_code
    if job.status.value == "STOPPED":
        return STOPPED
    return None if "ACTOR_DIED" in str(job.error_type) else 1


def _line(job: "JobDetails") -> str:
    return f"{_id(job):<28} {job.status.value:<10} {_age(job):<24} {(job.metadata or {}).get(WHAT, '')}"


def _age(job: "JobDetails") -> str:
    if job.end_time:
        return f"ended {format_duration(time.time() - job.end_time / 1000)} ago"
    return f"since {format_duration(time.time() - (job.start_time or 0) / 1000)}" if job.start_time else ""
