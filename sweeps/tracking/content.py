"""Which parts of a piece of work go where in an MLflow run: names, params, metrics, tags, files. It calls no MLflow.

The names are the contract of the README.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.plain_text import plain
from sweeps.redact import as_yaml, redact
from sweeps.specs import MODEL_FILE, BaselineSpec, Failure, Plan, Result, Work, describe_axes
from sweeps.tracking.datasets import DatasetRecord, dataset_record
from sweeps.tracking.networks import Network, network_of
from sweeps.tracking.tags import tags_of_failure, tags_of_result
from sweeps.tracking.values import metrics_of, params_of

# The UI's list of runs shows about twenty characters of a name.
SHORT_AXES = {"threshold": "thr", "n_clusters": "k"}


@dataclass(frozen=True)
class RunContent:
    """Everything that one run is to hold.

    Attributes:
        key: content key of the work.
        name: of the run, for people.
        status: "FINISHED" or "FAILED".
        params, tags: texts; metrics: numbers, all at step 0 and at `ended_at`.
        started_at, ended_at: seconds since the epoch.
        files: {path in the run's artifacts: file on disk}.
        texts: {path in the run's artifacts: content}.
        dataset: what it was trained and measured on.
        network: to log as a model that MLflow loads; of dense networks only.
    """

    key: str
    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started_at: float
    ended_at: float
    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    dataset: DatasetRecord | None = None
    network: Network | None = None


class SweepContent:
    """Makes the runs of one sweep; models and datasets are named in a run's name only where they differ."""

    def __init__(self, plan: Plan, started_at: float, provenance: Mapping[str, str]) -> None:
        """
        Args:
            plan: the sweep.
            started_at: of the sweep's first start; results that are older come from another sweep.
            provenance: tags that all runs share.
        """
        baselines = [*plan.baselines, *(trial.baseline for trial in plan.trials), *(s.baseline for s in plan.searches)]
        self._started_at = started_at
        self._shared_tags = {**provenance, "sweep.id": plan.sweep_id}
        self._several_models = len({b.model for b in baselines}) > 1
        self._several_datasets = len({b.dataset for b in baselines}) > 1

    def run_name(self, work: Work) -> str:
        """The run's name for people inside this sweep: "importance thr=0.5 seed 1"."""
        baseline = work.baseline
        if isinstance(work, BaselineSpec):
            return f"dense {baseline.model} {baseline.dataset} seed {baseline.seed}"
        parts = [work.method, describe_axes({SHORT_AXES.get(name, name): value for name, value in work.axes.items()})]
        parts += [baseline.model] * self._several_models + [baseline.dataset] * self._several_datasets
        return " ".join(filter(None, [*parts, f"seed {baseline.seed}"]))

    def of_result(self, work: Work, result: Result, folder: Path, cached: bool) -> RunContent:
        """The run of finished work whose files lie in `folder`."""
        is_of_another_sweep = cached and result.ended_at <= self._started_at
        shared = {**self._shared_tags, **({"trial.cached": "true"} if is_of_another_sweep else {})}
        texts = {name: as_yaml(result.config) for name in texts_beside(result.files)}
        return RunContent(
            key=work.key,
            name=self.run_name(work),
            status="FINISHED",
            # The same work may be a point of other axes in the sweep that computed it: people compare by both.
            params=params_of({**result.params, **work.params}),
            metrics=metrics_of({**result.metrics, **result.timings}),
            tags=tags_of_result(work, result, shared, texts),
            started_at=result.started_at,
            ended_at=result.ended_at,
            files={name: folder / name for name in result.files},
            texts=texts,
            dataset=dataset_record(work.baseline),
            network=network_of(work, result, folder / MODEL_FILE) if MODEL_FILE in result.files else None,
        )

    def of_failure(self, failure: Failure, at: float) -> RunContent:
        """The run of work that ended without a result at time `at`."""
        work = failure.work
        texts = {"traceback.txt": plain(redact(failure.traceback))} if failure.traceback else {}
        return RunContent(
            key=work.key,
            name=self.run_name(work),
            status="FAILED",
            params=params_of(work.params),
            metrics={},
            tags=tags_of_failure(failure, self._shared_tags, texts),
            started_at=at,
            ended_at=at,
            texts=texts,
            dataset=dataset_record(work.baseline),
        )


def texts_beside(files: Collection[str]) -> set[str]:
    """Artifacts of finished work that are not among its files."""
    return {"config.yaml"} - set(files)
