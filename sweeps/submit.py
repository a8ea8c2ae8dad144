"""Submits sweeps to clusters, follows, stops and lists them. The thin entry: the work is done in `sweeps.cluster`.

    prune-sweep submit compute=ray_jobs compute.address=http://head:8265 method=importance
    python sweeps/submit.py status compute=ray_jobs compute.address=http://head:8265 method=importance

Overrides are those of `sweeps/run.py`, and so are the exit codes; that of a sweep followed to its end is its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.cluster.base import Submission, Target

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

USAGE = """\
usage: prune-sweep submit [--print] [key=value ...]
       prune-sweep submit status|logs|stop [name] [key=value ...]
       prune-sweep submit list [key=value ...]

Submits the sweep that the overrides describe (those of prune-sweep itself) to a cluster and follows it to its end.
The same sweep again attaches to the one that runs. Ctrl-C asks whether to stop it or to leave it alone.

compute=ray_jobs compute.address=http://head:8265   a Ray cluster that takes jobs
compute=slurm                                       a Slurm cluster
compute=kuberay                                     Kubernetes with the KubeRay operator

--print            show what would be submitted, and stop
dry_run=true       show the plan, and stop
status, logs, stop the sweep of these overrides, or the one that is named
list               the sweeps that were submitted there"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit code."""
    from sweeps import run

    return run.main(["submit", *(sys.argv[1:] if argv is None else argv)])


def act(arguments: Sequence[str]) -> int:
    """Do what the words after `prune-sweep submit` say. Raises UserError."""
    from prune_core.errors import UserError

    words = [word for word in arguments if "=" not in word]
    overrides = [word for word in arguments if "=" in word]
    match words:
        case [("-h" | "--help"), *_]:
            print(USAGE)
            return 0
        case []:
            return _submit(overrides, show_only=False)
        case ["--print"]:
            return _submit(overrides, show_only=True)
        case ["list"]:
            return _target(overrides).list()
        case [("status" | "logs" | "stop") as what]:
            return _on_one(what, _submission(overrides).name, overrides)
        case [("status" | "logs" | "stop") as what, name]:
            return _on_one(what, name, overrides)
    raise UserError(f"{' '.join(words)} is not understood: see prune-sweep submit --help")


def _submit(overrides: Sequence[str], show_only: bool) -> int:
    from sweeps import run
    from sweeps.cluster.base import open_target

    submission = _submission(overrides)
    if submission.settings.dry_run:
        return run.show(submission.settings, submission.plan)
    target = open_target(submission.settings)
    if show_only:
        print(target.preview(submission))
        return 0
    return target.submit(submission)


def _on_one(what: str, name: str, overrides: Sequence[str]) -> int:
    target = _target(overrides)
    return {"status": target.status, "logs": target.logs, "stop": target.stop}[what](name)


def _target(overrides: Sequence[str]) -> "Target":
    from sweeps.cluster.base import open_target
    from sweeps.config import settings_of
    from sweeps.config.compose import compose

    return open_target(settings_of(compose(overrides)))


def _submission(overrides: Sequence[str]) -> "Submission":
    from sweeps.cluster.base import Submission
    from sweeps.config import settings_of
    from sweeps.config.compose import compose
    from sweeps.plan import make_plan

    settings = settings_of(compose(overrides))
    return Submission(settings, make_plan(settings), tuple(overrides))


if __name__ == "__main__":
    from sweeps.process import surroundings

    surroundings.settle()
    sys.exit(main())
