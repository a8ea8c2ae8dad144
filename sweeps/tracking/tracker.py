"""The tracker: delivers every result of a sweep to MLflow exactly once, outside the scheduling loop, after outages too.

Listener methods only note what is to be delivered. One thread (`sweeps.tracking.outbox`) does all the work with MLflow,
in order, and repeats what fails as long as the sweep runs. The results themselves are in the store, so nothing is lost
if the process ends first: the same command again delivers what waits.
"""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prune_core.errors import UserError
from sweeps.config.settings import Settings
from sweeps.specs import Failure, Plan, Result, Work
from sweeps.store import ResultStore
from sweeps.tracking.database import check
from sweeps.tracking.environment import prepare_environment
from sweeps.tracking.ledger import Ledger
from sweeps.tracking.outbox import Outbox
from sweeps.tracking.receiver import Closing, Item, MlflowReceiver, first_line
from sweeps.tracking.runs import Gap, no_gap
from sweeps.tracking.target import Place, Unreachable, resolve


class Tracker:
    """A `sweeps.engine.events.Listener` that delivers to MLflow.

    Call `check` before anything starts, `start` once, then the listener methods, then `finish`. All but `check`,
    `flush` and `finish` return at once.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        store: ResultStore,
        config: Mapping[str, Any],
        problems: Callable[[str], None],
        command: str | None = None,
        at: Gap = no_gap,
    ) -> None:
        """
        Args:
            settings: its `tracking` and `storage.root` are read.
            plan: the sweep.
            store: where results lie.
            config: the resolved configuration, kept with the sweep (credentials replaced).
            problems: told one sentence when an outage begins or ends and for each result that cannot be delivered;
                called from the tracker's thread.
            command: that reproduces the sweep; this process's command line if None.
            at: called in every gap between two writes (for tests that end the process there).

        Raises:
            UserError: `tracking.uri` cannot hold runs.
        """
        self._tracking = settings.tracking
        self._problems = problems
        self._root = Path(settings.storage.root).resolve()
        self._target = resolve(settings.tracking, self._root)
        command = command or shlex.join(["python", "sweeps/run.py", *sys.argv[1:]])
        self._receiver = MlflowReceiver(self._target, self._root, plan, store, config, problems, command, at)
        self._outbox: Outbox[Item, Closing] = Outbox(self._receiver, self._interrupted, self._resumed)

    def check(self) -> None:
        """Ask in a few seconds whether results can be delivered.

        Raises:
            UserError: they cannot, and `tracking.on_unreachable` is "refuse". With "queue", `problems` is told.
        """
        try:
            prepare_environment()
            check(self._target)
        except Unreachable as error:
            said = f"tracking.uri={self._target.shown}: {error}"
            if self._tracking.on_unreachable == "refuse":
                raise UserError(
                    f"{said} (to run without it and deliver later: tracking.on_unreachable=queue)"
                ) from None
            self._problems(f"{said}; the results wait in {self._root} until it can be reached")

    def start(self) -> None:
        """Begin in the background: import MLflow, find or make the sweep's run, list what is delivered already."""
        prepare_environment()
        self._outbox.start()

    def started(self, work: Work) -> None:
        """Nothing to deliver yet."""

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        """Nothing to deliver yet."""

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        """Deliver the result from the store, soon."""
        self._outbox.add(Item(work, result, cached=cached))

    def failed(self, failure: Failure) -> None:
        """Deliver the failure, soon."""
        self._outbox.add(Item(failure.work, failure=failure))

    def flush(self, timeout_s: float) -> int:
        """Wait until all is delivered that can be, at most `timeout_s`; returns how many results still wait."""
        return self._outbox.flush(timeout_s)

    def finish(self, status: str, artifacts: Mapping[str, Path], metrics: Mapping[str, float], timeout_s: float) -> int:
        """Deliver what waits, put `artifacts` ({name: file}) and `metrics` on the sweep's run, and end it.

        Args:
            status: "FINISHED", "FAILED" or "KILLED" (interrupted).
            artifacts: files of the report; those that do not exist are left out.
            metrics: numbers of the whole sweep.
            timeout_s: how long to try at most.

        Returns:
            How many deliveries still wait (ending the sweep's run counts as one); the same command again makes them.
        """
        return self._outbox.finish(Closing(status, dict(artifacts), dict(metrics)), timeout_s)

    @property
    def run_ids(self) -> dict[str, str]:
        """{key: run id} of everything that is delivered."""
        return dict(self._receiver.run_ids)

    @property
    def acknowledged(self) -> dict[str, str]:
        """{key: run id} of what earlier starts have delivered, from the ledger: the server is not asked."""
        return dict(Ledger(self._receiver.ledger_file).runs)

    @property
    def place(self) -> Place:
        """Where the sweep is found."""
        return self._receiver.place

    def _interrupted(self, reason: str) -> None:
        self._problems(
            f"{self._target.shown} does not take results ({first_line(reason)}): "
            f"the sweep goes on, they wait in {self._root}"
        )

    def _resumed(self, seconds: float) -> None:
        self._problems(f"{self._target.shown} takes results again after {seconds:.0f} s")
