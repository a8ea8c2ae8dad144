"""The settings of a sweep as plain dataclasses: what `sweeps.config.read` makes and every other package reads.

No configuration library is imported here, so workers can import it too.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.config.axes import Axes
from sweeps.config.reference import Reference

KINDS = ("grid", "sensitivity", "random", "optuna")
DIRECTIONS = ("max", "min")
ON_UNREACHABLE = ("refuse", "queue")
TARGETS = ("ray_jobs", "slurm", "kuberay")
"""Values of compute.target: kinds of clusters that take a sweep as a job. Each has a module in `sweeps.cluster`."""


@dataclass(frozen=True)
class SearchSettings:
    """Which points are tried.

    Attributes:
        kind: "grid", "sensitivity" (the grid for each layer alone), "random" (drawn while planning) or "optuna"
            (proposed while running).
        n_samples: points of a method (random), or of a method on one baseline (optuna); unused by the others.
        seed: of the draw.
        objectives: {metric: "max" or "min"}, one or two; used by optuna.
    """

    kind: str = "grid"
    n_samples: int = 20
    seed: int = 0
    objectives: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComputeSettings:
    """Where the work is done; every field is explained in conf/compute/local.yaml.

    `target` is the kind of cluster that takes the sweep as a job, and `submission` its section, compute.<target>.
    """

    target: str | None = None
    submission: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    gpu_memory_mb: int | None = None
    memory_mb_per_trial: int | None = None
    accelerator_type: str | None = None
    max_concurrent: int | None = None
    max_retries: int = 2
    trial_timeout_s: float | None = None


@dataclass(frozen=True)
class TrackingSettings:
    """Where results are shown; every field is explained in conf/tracking/sqlite.yaml."""

    uri: str | None = None
    experiment: str = "prune-sweep"
    artifact_location: str | None = None
    on_unreachable: str = "refuse"
    flush_timeout_s: float = 60


@dataclass(frozen=True)
class MeasureSettings:
    """What is measured in addition to the metrics that every trial has."""

    latency: bool = True
    latency_batch_size: int = 256


@dataclass(frozen=True)
class StorageSettings:
    """Folders are absolute.

    Attributes:
        root: of results, sweeps and databases; the driver's.
        data: of downloaded datasets; the driver's.
        uri: what all nodes reach: a folder that they share, file://, s3:// or gs://; None: they share `root`.
        cache: of each other node, for its copies of results; None: a folder of the node's own choice.
    """

    root: Path
    data: Path
    uri: str | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Settings:
    """A sweep as it was asked for, checked without looking at networks and data.

    Attributes:
        seeds: one baseline each.
        prune_output, dry_run: as in conf/config.yaml.
        datasets, models: {name: its section}.
        methods: {name: what is fixed and what varies in it}, shortcuts applied.
        training: section of the same name, methods' own parts (finetune) included.
        measure: how latency is measured.
        config: the whole resolved configuration, for the record.
        reference: published results that the report shows beside ours.
        overrides: the command line that asked for all this, word by word.
    """

    seeds: list[int]
    prune_output: bool
    dry_run: bool
    datasets: Mapping[str, dict[str, Any]]
    models: Mapping[str, dict[str, Any]]
    methods: Mapping[str, Axes]
    training: dict[str, Any]
    search: SearchSettings
    compute: ComputeSettings
    tracking: TrackingSettings
    measure: dict[str, Any]
    storage: StorageSettings
    config: Mapping[str, Any]
    reference: Reference | None = None
    overrides: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The shell command that asks for the same again."""
        return shlex.join(["python", "sweeps/run.py", *self.overrides])
