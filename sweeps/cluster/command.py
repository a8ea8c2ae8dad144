"""The command line of `prune-sweep submit`: what its words ask of a cluster."""

from collections.abc import Sequence

from prune_core.errors import UserError
from sweeps.cluster.base import Submission, Target, open_target
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan
from sweeps.terminal import show_plan

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


def act(arguments: Sequence[str]) -> int:
    """Do what the words after `prune-sweep submit` say. Raises UserError."""
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
    submission = _submission(overrides)
    if submission.settings.dry_run:
        return show_plan(submission.settings, submission.plan)
    target = open_target(submission.settings)
    if show_only:
        print(target.preview(submission))
        return 0
    return target.submit(submission)


def _on_one(what: str, name: str, overrides: Sequence[str]) -> int:
    target = _target(overrides)
    return {"status": target.status, "logs": target.logs, "stop": target.stop}[what](name)


def _target(overrides: Sequence[str]) -> Target:
    return open_target(settings_of(compose(overrides)))


def _submission(overrides: Sequence[str]) -> Submission:
    settings = settings_of(compose(overrides))
    return Submission(settings, make_plan(settings), tuple(overrides))
