"""The plain records that travel between plan, engine, trial and tracking: JSON-ready, without behaviour."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

RESULTS_VERSION = 1
"""Part of every key. Raise it by hand when a computation changes so that old results no longer stand for new ones."""

MODEL_FILE = "model.keras"
"""File of a baseline's result: the dense network, as Keras saves it."""
NETWORK_FILE = "network.pruned"
"""File of a trial's result: the pruned network, as `prune_core.codec` encodes it."""
MASKS_FILE = "masks.npz"
"""File of a trial's result: what is kept of the dense network's weights (`prune_core.load_masks`)."""
OUTPUTS = "outputs"
"""Tag of a dense network that says how its outputs are read: a value of `prune_core.tasks.OutputKind`."""


def content_key(content: Mapping[str, Any]) -> str:
    """20 hex digits that stand for `content`, equal for equal content on every machine and Python."""
    text = json.dumps({"results_version": RESULTS_VERSION, **content}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class BaselineSpec:
    """A dense network to train once and share: all that determines its weights.

    Attributes:
        key: content key.
        dataset, model: names, as in the configuration.
        seed: of initialisation and shuffling.
        dataset_config, model_config, training: the resolved configuration sections.
        fingerprints: of "dataset" and "model" when the plan was made; None for a network that is not from a file.
        remark: what a person should know about how the data were fitted to the network; "" if nothing.
        facts: what was learnt of the dataset when the plan was made (`sweeps.dataset_facts`); {} in the records of
            earlier versions. Not part of the key.
    """

    key: str
    dataset: str
    model: str
    seed: int
    dataset_config: Mapping[str, Any]
    model_config: Mapping[str, Any]
    training: Mapping[str, Any]
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)
    remark: str = ""
    kind: Literal["baseline"] = "baseline"
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def baseline(self) -> "BaselineSpec":
        """The dense network that the work is about: this one."""
        return self

    @property
    def params(self) -> dict[str, Any]:
        """What was asked, by the contract's names: dataset, model, seed."""
        return {"dataset": self.dataset, "model": self.model, "seed": self.seed}

    @property
    def label(self) -> str:
        """What a person calls it: "lenet_300_100 on mnist_5k, seed 0"."""
        return f"{self.model} on {self.dataset}, seed {self.seed}"

    @property
    def title(self) -> str:
        """Network and data, files of a person's own by name: "keras_file (mine.keras) on mnist_5k"."""
        parts = ((self.model, self.model_config), (self.dataset, self.dataset_config))
        named = ((name, PurePath(str(config.get("path") or "")).name) for name, config in parts)
        return " on ".join(f"{name} ({file})" if file else name for name, file in named)


@dataclass(frozen=True)
class TrialSpec:
    """One pruning of one baseline: all that determines its result.

    Attributes:
        key: content key.
        baseline: the network that is pruned.
        method: name, as in the configuration.
        axes: the grid point, by axis name, e.g. {"threshold": 0.5}; compared, and logged as params.
        parameters: everything `MethodSpec.from_parameters` takes, grid point included.
        prune_output: whether the output layer is pruned as well.
        measure: how size and latency are measured.
        training: settings of the method's own training (fine-tuning, RVSM) that differ from the baseline's; {} if it
            does not train.
    """

    key: str
    baseline: BaselineSpec
    method: str
    axes: Mapping[str, Any]
    parameters: Mapping[str, Any]
    prune_output: bool
    measure: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["trial"] = "trial"

    @property
    def params(self) -> dict[str, Any]:
        """What was asked, by the contract's names: method, dataset, model, seed, and each axis by its own."""
        return {"method": self.method, **self.baseline.params, **self.axes}

    @property
    def label(self) -> str:
        """What a person calls it: "importance threshold=0.5 mlp_800_800 mnist_5k seed 1"."""
        where = f"{self.baseline.model} {self.baseline.dataset} seed {self.baseline.seed}"
        return " ".join(filter(None, (self.method, describe_axes(self.axes), where)))


Work = BaselineSpec | TrialSpec


@dataclass(frozen=True)
class SearchSpec:
    """Trials of one method on one baseline whose points a searcher proposes one after the other (`search=optuna`).

    Attributes:
        key: content key of the search itself.
        baseline, method, prune_output, measure, training: as in every `TrialSpec` that the search leads to.
        fixed: parameters that do not vary.
        ranges: {axis: {"low": , "high": , "log": bool, "integer": bool}} or {axis: {"choices": [...]}}.
        n_trials: how many points are evaluated.
        objectives: {metric: "max" or "min"}; one or two.
        seed: of the searcher.
        start: points that are tried first, {axis: value} of every axis in `ranges`.
    """

    key: str
    baseline: BaselineSpec
    method: str
    fixed: Mapping[str, Any]
    ranges: Mapping[str, Mapping[str, Any]]
    n_trials: int
    objectives: Mapping[str, str]
    seed: int
    prune_output: bool
    measure: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    start: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Plan:
    """An explicit list of work.

    Attributes:
        sweep_id: 12 hex digits, equal for equal plans: the same command again is the same sweep.
        baselines: each once, in the order in which trials first need them.
        trials: each key once.
        searches: further trials, known only when a searcher has seen earlier results.
        remarks: sentences that a person should read before it runs.
    """

    sweep_id: str
    baselines: tuple[BaselineSpec, ...]
    trials: tuple[TrialSpec, ...]
    searches: tuple[SearchSpec, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def methods(self) -> list[str]:
        """Names of its methods, each once, in the order of the plan."""
        names = [trial.method for trial in self.trials] + [search.method for search in self.searches]
        return list(dict.fromkeys(names))

    @property
    def n_trials(self) -> int:
        """Number of trials, including those that searches will propose."""
        return len(self.trials) + sum(search.n_trials for search in self.searches)

    def __iter__(self) -> Iterator[Work]:
        yield from self.baselines
        yield from self.trials

    def __len__(self) -> int:
        return len(self.baselines) + self.n_trials


@dataclass(frozen=True)
class Result:
    """What finished work left behind; lives in `ResultStore` beside its files.

    Attributes:
        key, kind: of the work.
        params: what was asked: method, dataset, model, seed and the axes.
        metrics: measured values, by the names of the contract in README.
        tags: remarks that are not numbers, e.g. {"warning": "pruned nothing"}.
        started_at, ended_at: seconds since the epoch.
        files: {name relative to the result's folder: sha256}.
        config: the fully resolved work, for config.yaml.
        spans: {step: seconds that it took}; not used to compare results.
    """

    key: str
    kind: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0
    ended_at: float = 0.0
    files: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Result":
        """The result that `dataclasses.asdict` made this record of.

        Raises:
            TypeError, ValueError, AttributeError: it is not the record of a result.
        """
        result = cls(**record)
        texts = (result.key, result.kind, *result.tags.values(), *result.files.values())
        numbers = (result.started_at, result.ended_at, *result.metrics.values(), *result.spans.values())
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text of the record is not a text")
        if not all(type(number) in (int, float) and abs(number) < math.inf for number in numbers):
            raise ValueError("a number of the record is not a finite number")
        if not isinstance(result.params, Mapping) or not isinstance(result.config, Mapping):
            raise TypeError("a part of the record is not a mapping")
        return result

    @property
    def seconds(self) -> float:
        """Wall time that the work took."""
        return self.ended_at - self.started_at

    @property
    def timings(self) -> dict[str, float]:
        """The same and its parts by their names in MLflow: "seconds", "seconds.load", ..."""
        return {"seconds": self.seconds, **{f"seconds.{step}": seconds for step, seconds in self.spans.items()}}


@dataclass(frozen=True)
class Failure:
    """Work that ended without a result.

    Attributes:
        work: what was tried.
        status: "failed" (an exception of its own), "blocked" (its baseline failed), "lost" (its worker died, retries
            used up).
        reason: one sentence.
        traceback: of the worker's exception, or "".
        attempts: how often it was tried.
    """

    work: Work
    status: Literal["failed", "blocked", "lost"]
    reason: str
    traceback: str = ""
    attempts: int = 1


def of_dense(metrics: Mapping[str, float]) -> dict[str, float]:
    """The part of its dense network's `metrics` that a trial repeats, so that one row holds all that a choice needs."""
    return {f"{name}_baseline": metrics[name] for name in ("accuracy", "val_accuracy", "loss") if name in metrics}


def describe_axes(axes: Mapping[str, Any]) -> str:
    """A grid point as a person writes it: "sparsity=0.5 recovery=finetune"; axes without a value are left out."""
    return " ".join(f"{name}={format_value(value)}" for name, value in axes.items() if value not in (None, "none"))


def format_value(value: Any) -> str:
    """A parameter as a person writes it: 0.5, 16, [9,24,110,13], none."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(format_value(v) for v in value) + "]"
    return str(value)
