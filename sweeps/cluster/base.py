"""What all clusters that take sweeps as jobs have in common."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prune_core.errors import UserError
from sweeps.config.settings import TARGETS, Settings
from sweeps.specs import Plan

NAME_PREFIX = "prune-sweep-"


@dataclass(frozen=True)
class Submission:
    """A sweep on its way to a cluster.

    Attributes:
        settings: as composed and checked here.
        plan: the work that the settings ask for.
        overrides: the command line's, as given.
    """

    settings: Settings
    plan: Plan
    overrides: Sequence[str]

    @property
    def name(self) -> str:
        """What its job is called on the cluster: equal for equal plans, so that submitting twice is noticed."""
        return NAME_PREFIX + self.plan.sweep_id

    def driver_arguments(self, address: str = "auto", *others: str) -> list[str]:
        """Arguments of `python -m sweeps.run` that run this sweep on the Ray cluster at `address`, from inside it.

        `others` are overrides that come last, e.g. for paths that differ there.
        """
        return [*self.overrides, "compute.target=null", f"compute.address={address}", *others]


class Target(Protocol):
    """A place that takes sweeps as jobs. Each method returns an exit code and prints what a person wants to know.

    Each raises UserError if the place cannot do this, cannot be reached, or refuses.
    """

    def preview(self, submission: Submission) -> str:
        """What would be submitted (a script, a manifest, a request) as text, without submitting it."""
        ...

    def submit(self, submission: Submission) -> int:
        """Submit and follow to the end, or attach to the same sweep if it runs already; the sweep's own exit code."""
        ...

    def status(self, name: str) -> int:
        """Print the state of the job."""
        ...

    def logs(self, name: str) -> int:
        """Print what the job has printed, and follow it while it runs; the sweep's own exit code."""
        ...

    def stop(self, name: str) -> int:
        """End the job; its sweep can go on later."""
        ...

    def list(self) -> int:
        """Print the sweeps that were submitted there."""
        ...


def open_target(settings: Settings) -> Target:
    """The place that compute.target names, made by its module in this package. Raises UserError if it names none."""
    name = settings.compute.target
    if name is None:
        raise UserError(f"nowhere to submit to: name a cluster with {' or '.join(f'compute={n}' for n in TARGETS)}")
    module = importlib.import_module(f"sweeps.cluster.{name}")
    target: Target = module.open_target(settings)
    return target
