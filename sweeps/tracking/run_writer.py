"""Writes values, files and the dataset to a run. Repeating a call changes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.tracking.artifacts import staged
from sweeps.tracking.datasets import DatasetRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

TEXTS_PER_CALL = 100
METRICS_PER_CALL = 500


class RunWriter:
    """Writes to runs; `prefix` is that of temporary folders."""

    def __init__(self, client: "MlflowClient", prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def values(
        self, run_id: str, params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], at: float
    ) -> None:
        """Log params, metrics (at step 0 and `at` seconds since the epoch) and tags, in as few requests as possible."""
        from mlflow.entities import Metric, Param, RunTag

        stamp = round(at * 1000)
        numbers = [Metric(name, value, stamp, 0) for name, value in metrics.items()]
        texts = [Param(name, value) for name, value in params.items()]
        marks = [RunTag(name, value) for name, value in tags.items()]
        while numbers or texts or marks:
            self._client.log_batch(run_id, numbers[:METRICS_PER_CALL], texts[:TEXTS_PER_CALL], marks[:TEXTS_PER_CALL])
            del numbers[:METRICS_PER_CALL], texts[:TEXTS_PER_CALL], marks[:TEXTS_PER_CALL]

    def dataset(self, run_id: str, record: DatasetRecord) -> None:
        """Log what the run was trained and measured on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(record.name, record.digest, "prune_core", record.source, profile=record.profile)
        self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train and test")])])

    def files(self, run_id: str, files: Mapping[str, Path], texts: Mapping[str, str], folder: str = "") -> None:
        """Send artifacts, {path: file} and {path: content}, below `folder` among the run's artifacts."""
        with staged(files, texts, self._prefix) as there:
            self._client.log_artifacts(run_id, str(there), folder or None)
