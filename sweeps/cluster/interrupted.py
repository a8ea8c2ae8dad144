"""Ctrl-C while a job is followed: the job runs elsewhere, and may continue."""

import sys


def wants_stop(job: str, where: str) -> bool:
    """Ask a person at a terminal whether to stop `job`. If it is not to be stopped, say how to come back to it.

    The end of the input (Ctrl-D) means no.

    Args:
        job: its name.
        where: the overrides that name its cluster.
    """
    if sys.stdin.isatty():
        try:
            answer = input(f"\nstop {job}? It continues otherwise. [y/N] ")
        except EOFError:
            answer = ""
            print(file=sys.stderr)
        if answer.strip().lower() in ("y", "yes"):
            return True
    leave(job, where)
    return False


def leave(job: str, where: str) -> None:
    """Say how to come back to a job that continues."""
    for what in ("logs", "stop"):
        print(f"{job} continues: prune-sweep submit {what} {job} {where}", file=sys.stderr)
