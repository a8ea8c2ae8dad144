"""Which run of a sweep is for which piece of work, and the status of each run."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.tracking.models import models_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000


class RunIndex:
    """The runs of one sweep, by the content key of their work: one run for each key.

    Attributes:
        parent_id: run id of the sweep's own run; "" if there is none.
        finished, failed, unfinished: {key: run id}.
    """

    def __init__(
        self, client: "MlflowClient", experiment_id: str, sweep_id: str, meet: Callable[["Run"], object]
    ) -> None:
        """List the runs (one request a thousand); `meet` is called with each of them that is for a piece of work."""
        self._client = client
        self._experiment_id = experiment_id
        self._sweep_id = sweep_id
        self._meet = meet
        self._unsure: set[str] = set()  # keys for which a run may have been made although its answer was lost
        self.parent_id = ""
        self.finished: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.unfinished: dict[str, str] = {}
        self.refresh()

    def refresh(self, only: str = "") -> None:
        """List the sweep's runs; all drivers that do so get the same result."""
        where = f"tags.`sweep.id` = '{self._sweep_id}'" + only
        page = None
        parents, children = [], []
        while True:
            runs = self._client.search_runs([self._experiment_id], where, max_results=_PAGE, page_token=page)
            for run in runs:
                tags, info = run.data.tags, run.info
                if tags.get("kind") == "sweep":
                    parents.append((info.start_time, info.run_id))
                elif key := tags.get("trial.key") or tags.get("baseline.key"):
                    children.append((info.start_time, info.run_id, key, info.status))
                    if not self.parent_id:  # before anything is delivered
                        self._meet(run)
            page = runs.token
            if not page:
                break
        if not only:
            self.finished, self.failed, self.unfinished = {}, {}, {}
        for _, run_id, key, status in sorted(children):
            self._sort_in(key, run_id, status)
        if parents and not self.parent_id:
            self.parent_id = min(parents)[1]

    def _sort_in(self, key: str, run_id: str, status: str) -> None:
        """File a run by its status; of several for one key (two drivers on two hosts) the most complete one stays."""
        order = (self.finished, self.failed, self.unfinished)
        mine = 0 if status == "FINISHED" else 1 if status == "FAILED" else 2
        for rank, runs in enumerate(order):
            other = runs.get(key)
            if other == run_id:
                del runs[key]
            if other in (None, run_id):
                continue
            self.delete(run_id if rank <= mine else other)
            if rank <= mine:
                return
            del runs[key]
        order[mine][key] = run_id

    def to_complete(self, key: str) -> str:
        """The run of a key that is not finished; "" if there is none."""
        return self.failed.get(key) or self.unfinished.get(key) or self._find_unsure(key)

    def _find_unsure(self, key: str) -> str:
        """The run of an earlier attempt whose answer was lost."""
        if key not in self._unsure:
            return ""
        for tag in ("trial.key", "baseline.key"):
            self.refresh(f" and tags.`{tag}` = '{key}'")
        return self.finished.get(key) or self.failed.get(key) or self.unfinished.get(key) or ""

    def about_to_create(self, key: str) -> None:
        """From now on there may be a run for a key, even if no answer comes."""
        self._unsure.add(key)

    def created(self, key: str, run_id: str) -> None:
        """The run for a key was made."""
        self._unsure.discard(key)
        self.unfinished[key] = run_id

    def ended(self, key: str, run_id: str, is_finished: bool) -> None:
        """The run for a key is complete."""
        self.unfinished.pop(key, None)
        self.failed.pop(key, None)
        (self.finished if is_finished else self.failed)[key] = run_id

    def reopen(self, key: str) -> str:
        """The finished run of a key is to be completed again; returns its run id."""
        run_id = self.unfinished[key] = self.finished.pop(key)
        return run_id

    def forget(self, key: str) -> None:
        """Let the next attempt look the run of a key up again: somebody may have deleted it."""
        for runs in (self.unfinished, self.failed):
            runs.pop(key, None)
        self._unsure.add(key)

    def delete(self, run_id: str) -> None:
        """Delete a run and the network logged with it."""
        for model in models_of(self._client, self._experiment_id, run_id):
            self._client.delete_logged_model(model.model_id)
        self._client.delete_run(run_id)
