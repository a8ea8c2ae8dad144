"""Runs Slurm's own commands: the queue, and any other command."""

import re
import subprocess
from dataclasses import dataclass

from prune_core.errors import UserError
from sweeps.cluster.base import NAME_PREFIX

_ENDED = re.compile("CANCELLED|COMPLETED|FAILED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY|BOOT_FAIL|DEADLINE")


@dataclass(frozen=True)
class Job:
    """A line of squeue, in its words."""

    number: str
    name: str
    state: str
    elapsed: str
    where: str

    @property
    def line(self) -> str:
        return f"job {self.number:<8} {self.state:<12} {self.elapsed:>12}  {self.where}"


def jobs() -> list[Job]:
    """My sweeps that are queued or running. Raises UserError."""
    lines = ask("squeue", "--me", "--noheader", "--format=%A|%j|%T|%M|%R").splitlines()
    found = [Job(*line.split("|", 4)) for line in lines]
    return [job for job in found if job.name.startswith(NAME_PREFIX) and not _ENDED.match(job.state)]


def ask(*command: str) -> str:
    """What a command of Slurm prints. Raises UserError if it is not here, or refuses."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(
            f"{command[0]} is not here: submit from a machine of the Slurm cluster, or see the script with --print"
        ) from None
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise UserError(f"Slurm refuses: {reason}")
    return done.stdout
