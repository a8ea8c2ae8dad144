"""What of a piece of work lands where in an MLflow run: names, params, metrics, tags, files. Pure: knows no MLflow.

The names are the contract of the README; what MLflow would refuse (odd characters, lengths) is mended here beforehand.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from prune_core.errors import UserError
from sweeps.plain_text import plain
from sweeps.redact import as_yaml, redact, redact_all
from sweeps.specs import (
    MODEL_FILE,
    OUTPUTS,
    BaselineSpec,
    Failure,
    Plan,
    Result,
    Work,
    describe_axes,
    format_value,
)
from sweeps.tracking.artifacts import DIGEST, digest_of, digest_of_text

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_DIGEST = 36
# The UI's list of runs shows some twenty characters of a name.
SHORT_AXES = {"threshold": "thr", "n_clusters": "k"}
_ODD = re.compile(r"[^\w\-. :/]", re.ASCII)


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as MLflow shows it beside a run; all strings, no arrays."""

    name: str
    digest: str
    source: str
    profile: str


@dataclass(frozen=True)
class Network:
    """A network that was saved by Keras.

    Attributes:
        file: *.keras.
        input_shape: of one sample; None for an axis of any length; () if unknown.
        outputs: length of the output; 0 if unknown.
        dtype: of the input.
        digest: sha256 of the file; "" if unknown.
    """

    file: Path
    input_shape: tuple[int | None, ...] = ()
    outputs: int = 0
    dtype: str = "float32"
    digest: str = ""


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
        self._plan = plan
        self._started_at = started_at
        self._provenance = dict(provenance)
        self._several_models = len({b.model for b in baselines}) > 1
        self._several_datasets = len({b.dataset for b in baselines}) > 1

    def run_name(self, work: Work) -> str:
        """What a person calls it inside this sweep: "importance thr=0.5 seed 1"."""
        baseline = work.baseline
        if isinstance(work, BaselineSpec):
            return f"dense {baseline.model} {baseline.dataset} seed {baseline.seed}"
        parts = [work.method, describe_axes({SHORT_AXES.get(name, name): value for name, value in work.axes.items()})]
        parts += [baseline.model] * self._several_models + [baseline.dataset] * self._several_datasets
        return " ".join(filter(None, [*parts, f"seed {baseline.seed}"]))

    def of_result(self, work: Work, result: Result, folder: Path, cached: bool) -> RunContent:
        """The run of finished work whose files lie in `folder`."""
        tags = {**result.tags, **self._tags(work), "status": "finished"}
        if cached and result.ended_at <= self._started_at:
            tags["trial.cached"] = "true"
        texts = {name: as_yaml(result.config) for name in texts_beside(result.files)}
        return RunContent(
            key=work.key,
            name=self.run_name(work),
            status="FINISHED",
            # The same work may be a point of other axes in the sweep that computed it: both are worth comparing by.
            params=_params({**result.params, **work.params}),
            metrics=_metrics({**result.metrics, **result.timings}),
            tags=_tags({**tags, **_digest(result.files, texts)}),
            started_at=result.started_at,
            ended_at=result.ended_at,
            files={name: folder / name for name in result.files},
            texts=texts,
            dataset=dataset_record(work.baseline),
            network=_network(work, result, folder / MODEL_FILE) if MODEL_FILE in result.files else None,
        )

    def of_failure(self, failure: Failure, at: float) -> RunContent:
        """The run of work that ended without a result at time `at`."""
        work = failure.work
        tags = {**self._tags(work), "status": failure.status, "failure": failure.reason, "attempts": failure.attempts}
        texts = {"traceback.txt": plain(redact(failure.traceback))} if failure.traceback else {}
        return RunContent(
            key=work.key,
            name=self.run_name(work),
            status="FAILED",
            params=_params(work.params),
            metrics={},
            tags=_tags({**tags, **_digest({}, texts)}),
            started_at=at,
            ended_at=at,
            texts=texts,
            dataset=dataset_record(work.baseline),
        )

    def _tags(self, work: Work) -> dict[str, Any]:
        tags = {
            **self._provenance,
            "kind": work.kind,
            "sweep.id": self._plan.sweep_id,
            "baseline.key": work.baseline.key,
        }
        return tags if isinstance(work, BaselineSpec) else {**tags, "trial.key": work.key}


def texts_beside(files: Collection[str]) -> set[str]:
    """Artifacts of finished work that are not among its files."""
    return {"config.yaml"} - set(files)


def sweep_name(plan: Plan) -> str:
    """What a person calls the sweep: "importance · lenet_300_100 · mnist_5k"."""
    return " · ".join(_few(names) for names in sweep_axes(plan).values() if names)


def sweep_axes(plan: Plan) -> dict[str, list[str]]:
    """Methods, models and datasets of the plan, each once, in the plan's order."""
    baselines = [*plan.baselines, *(search.baseline for search in plan.searches)]
    columns = {"method": plan.methods, "model": [b.model for b in baselines], "dataset": [b.dataset for b in baselines]}
    return {name: list(dict.fromkeys(column)) for name, column in columns.items()}


def sweep_params(plan: Plan) -> dict[str, str]:
    """The params of the sweep's own run."""
    seeds = dict.fromkeys(str(b.seed) for b in plan.baselines)
    return _params({**{name: ", ".join(names) for name, names in sweep_axes(plan).items()}, "seeds": ", ".join(seeds)})


def sweep_note(plan: Plan, command: str) -> str:
    """Markdown for the sweep's page: what it is, how to look at it and how to run it again."""
    ours = f"tags.`sweep.id` = '{plan.sweep_id}' and tags.`kind` = 'trial'"
    axes = {**sweep_axes(plan), "seed": _seeds(plan)}
    rows = [f"| {name} | {', '.join(names)} |" for name, names in axes.items() if names]
    searched = sum(search.n_trials for search in plan.searches)
    trials = f"{len(plan.trials)} planned trials" + (f" and {searched} of a search" if searched else "")
    networks = f"{len(plan.baselines)} dense network{'s' * (len(plan.baselines) != 1)}"
    # The UI folds what is below the first lines.
    note = [
        f"Sweep `{plan.sweep_id}`: {trials} on {networks}; what came of it: `report.html` under Artifacts.",
        f"Run it again (finished trials are kept):\n\n```\n{redact(command)}\n```",
        "\n".join(["| axis | values |", "|---|---|", *rows]),
        f"All its trials: filter the runs of this experiment by\n\n```\n{ours}\n```",
        "`accuracy` and `loss` are of the test split; choose on `val_accuracy`.",
    ]
    return "\n\n".join(note)[:MAX_TAG]


def dataset_record(baseline: BaselineSpec) -> DatasetRecord:
    """The dataset of a baseline. The digest stands for all its values, MLflow's own only for the first few samples."""
    config = json.dumps(redact_all(baseline.dataset_config), sort_keys=True, default=str)
    return _dataset_record(baseline.dataset, config)


def _network(work: Work, result: Result, file: Path) -> Network:
    from prune_core import data
    from prune_core.models.keras_file import stored_input
    from prune_core.tasks import OutputKind

    baseline, digest = work.baseline, result.files[file.name]
    try:
        info = data.describe(baseline.dataset, baseline.dataset_config)
    except UserError:  # as below
        return Network(file, digest=digest)
    outputs = result.tags.get(OUTPUTS)
    is_binary = outputs is not None and OutputKind(outputs).is_binary
    shape, dtype = stored_input(file) or (info.input_shape, "float32")
    return Network(file, shape, 1 if is_binary else info.classes, dtype, digest)


def _digest(files: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """The tag that says which artifacts a run holds."""
    digests = {**files, **{name: digest_of_text(text) for name, text in texts.items()}}
    return {DIGEST: digest_of(digests)} if digests else {}


@lru_cache(maxsize=64)
def _dataset_record(name: str, config: str) -> DatasetRecord:
    from prune_core import data

    profile: dict[str, Any] = {}
    digest = hashlib.sha256(config.encode()).hexdigest()
    try:
        info = data.describe(name, json.loads(config))
    except UserError:  # the user's file has gone meanwhile: the configuration stands for it
        pass
    else:
        digest = info.fingerprint
        profile = {"input_shape": list(info.input_shape), "classes": info.classes, "samples": dict(info.sizes)}
    return DatasetRecord(name, digest[:MAX_DIGEST], config, json.dumps(profile))


def _seeds(plan: Plan) -> list[str]:
    return list(dict.fromkeys(str(b.seed) for b in plan.baselines))


def _few(names: list[str], at_most: int = 3) -> str:
    return ", ".join(names[:at_most]) + (f" +{len(names) - at_most}" if len(names) > at_most else "")


def _params(values: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): _exactly(value)[:MAX_PARAM] for name, value in values.items()}


def _metrics(values: Mapping[str, float]) -> dict[str, float]:
    return {_name(name): float(value) for name, value in values.items()}


def _tags(values: Mapping[str, Any]) -> dict[str, str]:
    return {_name(name): plain(redact(str(value)))[:MAX_TAG] for name, value in values.items()}


def _exactly(value: Any) -> str:
    """Like `format_value`, without rounding: what a searcher proposed must be found again."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_exactly(item) for item in value) + "]"
    return redact(format_value(value))


def _name(name: str) -> str:
    """A name that MLflow takes: no odd characters, no path tricks, at most 250 characters, still unique."""
    clean = _ODD.sub("_", name).strip() or "_"
    if posixpath.normpath(clean) != clean or clean.startswith(("/", "..")) or clean == ".":
        clean = clean.replace("/", "_").replace("..", "__")
        clean = "_" if clean == "." else clean
    if len(clean) > MAX_NAME:
        clean = clean[: MAX_NAME - 9] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return clean
