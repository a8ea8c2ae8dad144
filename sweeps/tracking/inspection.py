"""Whether runs that count as finished still hold what was delivered: a power cut may have emptied files.

Artifacts in folders of this machine are read; of those that a server keeps, names and sizes are asked for.
"""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.tracking.artifacts import DIGEST, Expected, Sizes, folder_at, sizes_of
from sweeps.tracking.models import is_intact, models_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
_AT_ONCE = 8


class Inspection:
    """Looks at the artifacts of finished runs."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._met: dict[str, tuple[str, str]] = {}
        self._sizes: dict[str, Sizes] = {}

    def meet(self, run: Any) -> None:
        """Note a run that earlier starts have delivered."""
        self._met[run.info.run_id] = (run.info.artifact_uri, run.data.tags.get(DIGEST, ""))

    def forget(self, run_id: str) -> None:
        """The run is being written again: from now on it counts as intact."""
        self._met.pop(run_id, None)

    def ask(self, run_ids: Iterable[str]) -> None:
        """Ask for the sizes of the artifacts of those runs that keep them on a server."""
        there = [run_id for run_id in run_ids if run_id in self._met and folder_at(self._met[run_id][0]) is None]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(self._sizes_of, there)
            self._sizes = {run_id: sizes for run_id, sizes in zip(there, found, strict=True) if sizes is not None}

    def was_asked(self, run_id: str) -> bool:
        """Whether the sizes of its artifacts are known."""
        return run_id in self._sizes

    def is_intact(self, run_id: str, files: Mapping[str, Path], digests: Mapping[str, str], texts: set[str]) -> bool:
        """Whether a run holds its artifacts; one that was not met, or whose server was not asked, counts as intact."""
        if run_id not in self._met:
            return True
        uri, digest = self._met[run_id]
        expected = Expected(files, digests, texts, digest)
        folder = folder_at(uri)
        if folder is not None:
            return expected.is_in(folder)
        return run_id not in self._sizes or expected.has(self._sizes[run_id])

    def has_network(self, experiment_id: str, run_id: str, network: Path, digest: str) -> bool:
        """As `is_intact`, for the logged model of a run; a model that somebody has deleted is not missed."""
        if run_id not in self._met or (folder_at(self._met[run_id][0]) is None and run_id not in self._sizes):
            return True
        models = models_of(self._client, experiment_id, run_id)
        return not models or is_intact(self._client, models[0], network, digest)

    def _sizes_of(self, run_id: str) -> Sizes | None:
        from mlflow.exceptions import MlflowException

        try:
            return sizes_of(self._client.list_artifacts(run_id))
        except (MlflowException, OSError) as error:  # not every store of artifacts can list them
            log.debug("the artifacts of run %s are not looked at: %s", run_id, error)
            return None
