"""One sweep's runs in MLflow. Every method is one attempt: it raises on trouble and can be called again.

Repeating is harmless: a run is looked up before one is made, metrics carry fixed timestamps, and a run becomes FINISHED
only after everything in it is written.
"""

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.specs import MODEL_FILE
from sweeps.tracking.artifacts import sync
from sweeps.tracking.content import RunContent
from sweeps.tracking.database import opening
from sweeps.tracking.environment import prepare_environment
from sweeps.tracking.inspection import Inspection
from sweeps.tracking.models import log_network
from sweeps.tracking.run_index import RunIndex
from sweeps.tracking.run_writer import RunWriter
from sweeps.tracking.target import Target

if TYPE_CHECKING:
    from mlflow.entities import Run

Gap = Callable[[str], None]
"""Called with the name of each gap between two writes; tests end the process there."""

# The UI opens such an experiment on its runs instead of on traces of language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# On a sweep's run: which driver has taken it up last.
_DRIVER = "sweep.driver"


def no_gap(name: str) -> None:
    """Nothing happens between two writes."""


class SweepRuns:
    """The parent run of a sweep and its children in one experiment.

    Attributes:
        client: of MLflow.
        experiment_id: of the experiment.
    """

    def __init__(self, target: Target, sweep_id: str, gap: Gap = no_gap, prefix: str = "prune-sweep-") -> None:
        """Connect, make the experiment if it is missing, list the sweep's runs (one request a thousand).

        `prefix` is that of temporary folders.
        """
        prepare_environment()
        from mlflow.tracking import MlflowClient

        self._sweep_id = sweep_id
        self._gap = gap
        self._prefix = prefix
        self._driver = uuid.uuid4().hex
        self._alone = True
        self._has_news = False
        self._reopened: set[str] = set()
        with opening(target.sqlite_file):
            self.client = MlflowClient(tracking_uri=target.uri)
            self.experiment_id = self._experiment(target)
        self._write = RunWriter(self.client, prefix)
        self._inspection = Inspection(self.client)
        self._index = RunIndex(self.client, self.experiment_id, sweep_id, self._inspection.meet)

    @property
    def parent_id(self) -> str:
        """Run id of the sweep's own run; "" until `open_parent` if there is none yet."""
        return self._index.parent_id

    @property
    def finished(self) -> Mapping[str, str]:
        """{key: run id} of the results that are complete."""
        return self._index.finished

    def alive(self) -> bool:
        """Whether the server answers at all."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_experiment(self.experiment_id)
        except (MlflowException, OSError):
            return False
        return True

    def open_parent(
        self, name: str, params: Mapping[str, str], tags: Mapping[str, str], config: str, started_at: float
    ) -> None:
        """Make the sweep's run, or take up the one of an earlier start."""
        tags = {**tags, "kind": "sweep", "sweep.id": self._sweep_id, _DRIVER: self._driver}
        if not self.parent_id:
            run = self.client.create_run(self.experiment_id, round(started_at * 1000), tags, name)
            self._index.parent_id = run.info.run_id
        else:
            run = self.client.get_run(self.parent_id)
            self._alone = run.info.status != "RUNNING"
            self.client.update_run(self.parent_id, status="RUNNING")
        self._write.values(self.parent_id, params, {}, tags, 0)
        self._write.files(self.parent_id, {}, {"config.yaml": config})
        sync(run.info.artifact_uri)

    def deliver(self, content: RunContent) -> str:
        """Write one child run completely; returns its run id. A run that a killed driver left is completed.

        The artifacts that this machine keeps are on the disk before the run becomes FINISHED.
        """
        key = content.key
        if key in self.finished:
            return self.finished[key]
        self._has_news = self._has_news or key not in self._reopened
        run = self._begun(content)
        run_id = run.info.run_id
        self._gap("values logged")
        if content.dataset:
            self._write.dataset(run_id, content.dataset)
        if content.files or content.texts:
            self._write.files(run_id, content.files, content.texts)
        self._gap("files logged")
        self._log_network(run_id, content)
        sync(run.info.artifact_uri)
        self.client.set_terminated(run_id, content.status, round(content.ended_at * 1000))
        self._gap("run finished")
        self._index.ended(key, run_id, is_finished=content.status == "FINISHED")
        return run_id

    def ask(self, keys: Collection[str]) -> None:
        """Ask the server what it holds of the finished runs of these keys; other runs count as intact."""
        self._inspection.ask(self.finished[key] for key in keys)

    def was_asked(self, key: str) -> bool:
        """Whether it is known what a server holds of the finished run of a key."""
        return self._inspection.was_asked(self.finished[key])

    def is_intact(self, key: str, files: Mapping[str, Path], digests: Mapping[str, str], texts: set[str]) -> bool:
        """Whether the finished run of a key, delivered by an earlier start, still holds its artifacts.

        Args:
            key: of the work.
            files, digests: {name: file of the result, its sha256}.
            texts: names of what was delivered beside these.
        """
        run_id = self.finished[key]
        if not self._inspection.is_intact(run_id, files, digests, texts):
            return False
        return MODEL_FILE not in files or self._inspection.has_network(
            self.experiment_id, run_id, files[MODEL_FILE], digests[MODEL_FILE]
        )

    def reopen(self, key: str) -> None:
        """The finished run of a key is not what it should be: let `deliver` complete it."""
        run_id = self._index.reopen(key)
        self._reopened.add(key)
        self._inspection.forget(run_id)
        self.client.update_run(run_id, status="RUNNING")

    def forget(self, key: str) -> None:
        """Let the next attempt look the run of `key` up again: somebody may have deleted it."""
        self._index.forget(key)

    def close_parent(self, status: str, artifacts: Mapping[str, Path], metrics: Mapping[str, float]) -> None:
        """Put the report on the sweep's run and end it; children that nobody will complete are ended as KILLED.

        The metrics of an earlier start stay as they are if this start had nothing new to deliver.
        """
        now = time.time()
        parent = self.client.get_run(self.parent_id)
        if self._has_news or not parent.data.metrics:
            self._write.values(self.parent_id, {}, metrics, {}, now)
        for name, path in artifacts.items():
            folder, _, base = name.rpartition("/")
            self._write.files(self.parent_id, {base: path}, {}, folder)
        sync(parent.info.artifact_uri)
        if self._alone and self.client.get_run(self.parent_id).data.tags.get(_DRIVER) == self._driver:
            self._index.refresh(" and attributes.status = 'RUNNING'")
        else:  # another driver has delivered at the same time: one run for each key stays
            self._index.refresh()
        for run_id in self._index.unfinished.values():
            self.client.set_terminated(run_id, "KILLED")
        self.client.set_terminated(self.parent_id, status, round(now * 1000))

    def _experiment(self, target: Target) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(target.experiment)
        if found is None:
            try:
                return self.client.create_experiment(target.experiment, target.artifact_location, _EXPERIMENT_TAGS)
            except MlflowException:
                found = self.client.get_experiment_by_name(target.experiment)  # another driver was quicker
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise RuntimeError(f"the experiment {target.experiment} is deleted: restore it or name another one")
        return found.experiment_id

    def _begun(self, content: RunContent) -> "Run":
        """The run of this content, with its values: the one that is there, or a new one."""
        key = content.key
        run_id = self._index.to_complete(key)
        run = self.client.get_run(run_id) if run_id else None
        if run is not None and any(content.metrics.get(name) != value for name, value in run.data.metrics.items()):
            # The work was done again since then: MLflow would keep the values of both times.
            self._index.delete(run_id)
            run = None
        if run is None:
            run = self._create(content)
            self._gap("run created")
            self._write.values(run.info.run_id, content.params, content.metrics, {}, content.ended_at)
            return run
        self._write.values(run_id, content.params, content.metrics, content.tags, content.ended_at)
        if content.status == "FINISHED" and "failure" in run.data.tags:
            self.client.delete_tag(run_id, "failure")
        return run

    def _create(self, content: RunContent) -> "Run":
        tags = {**content.tags, "mlflow.parentRunId": self.parent_id}
        self._index.about_to_create(content.key)
        run = self.client.create_run(self.experiment_id, round(content.started_at * 1000), tags, content.name)
        self._index.created(content.key, run.info.run_id)
        return run

    def _log_network(self, run_id: str, content: RunContent) -> None:
        if content.network:
            log_network(self.client, run_id, content.network, content, self._prefix)
            self._gap("network logged")
