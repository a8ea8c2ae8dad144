"""Ctrl-C while a job is followed: the job runs elsewhere, and may well go on."""

import sys


def wants_stop(job: str, where: str) -> bool:
    """Ask whether `job` shall be stopped, if there is somebody to ask; if not so, say how to come back to it.

    Whoever answers with the end of the input wants no more than to leave.

    Args:
        job: its name.
        where: the overrides that name its cluster.
    """
    if sys.stdin.isatty():
        try:
            answer = input(f"\nstop {job}, which goes on otherwise? [y/N] ")
        except EOFError:
            answer = ""
            print(file=sys.stderr)
        if answer.strip().lower() in ("y", "yes"):
            return True
    leave(job, where)
    return False


def leave(job: str, where: str) -> None:
    """Say how to come back to a job that goes on."""
    for what in ("logs", "stop"):
        print(f"{job} goes on: prune-sweep submit {what} {job} {where}", file=sys.stderr)
