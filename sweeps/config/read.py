"""From the composed configuration to checked settings. A bad value is refused in one sentence that names its key."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from prune_core.errors import UserError
from prune_core.registry import closest
from prune_core.training import TrainingConfig
from sweeps.config.axes import SHORTCUTS, read_methods
from sweeps.config.checks import amount, at_least, one_of, positive, typed
from sweeps.config.compose import MANY, Composed
from sweeps.config.reference import Reference
from sweeps.config.settings import (
    DIRECTIONS,
    KINDS,
    ON_UNREACHABLE,
    TARGETS,
    ComputeSettings,
    MeasureSettings,
    SearchSettings,
    Settings,
    TrackingSettings,
)
from sweeps.config.storage import storage_settings


@dataclass(frozen=True)
class _Top:
    """Keys of the top level that are not sections."""

    seeds: list[int] = field(default_factory=list)
    prune_output: bool = False
    dry_run: bool = False


def settings_of(composed: Composed) -> Settings:
    """Check and type a composed configuration.

    Raises:
        UserError: an unknown key, a value of the wrong type or out of range, an axis that no chosen method has.
    """
    config = composed.config
    _check_top_level(config)
    seeds = config.get("seeds")
    top = typed(_Top, "", {**_named(config, _Top), "seeds": seeds if isinstance(seeds, list) else [seeds]})
    _check_seeds(top.seeds)
    search = _search(_section(config, "search"), composed.asked)
    measure = typed(MeasureSettings, "measure", _section(config, "measure"))
    at_least("measure.latency_batch_size", measure.latency_batch_size, 1)
    training = _section(config, "training")
    TrainingConfig.from_mapping(training)
    return Settings(
        seeds=top.seeds,
        prune_output=top.prune_output,
        dry_run=top.dry_run,
        datasets=_chosen_sections(composed, "dataset"),
        models=_chosen_sections(composed, "model"),
        methods=read_methods(
            _chosen_sections(composed, "method"),
            shortcuts={name: config.get(name) for name in SHORTCUTS},
            asked=composed.asked,
        ),
        training=dict(training),
        search=search,
        compute=_compute(_section(config, "compute")),
        tracking=_tracking(_section(config, "tracking")),
        measure={"latency": measure.latency, "latency_batch_size": measure.latency_batch_size},
        storage=storage_settings(_section(config, "storage")),
        config=config,
        reference=Reference.read(config.get("reference")),
        overrides=composed.overrides,
    )


def _check_top_level(config: Mapping[str, Any]) -> None:
    known = [*MANY.values(), "training", "search", "compute", "tracking", "measure", "storage", "reference"]
    known += SHORTCUTS
    known += [f.name for f in fields(_Top)]
    for name in config:
        if name in MANY:
            raise UserError(
                f"a file of conf/{name} lacks its first line: begin it with '# @package {MANY[name]}.<its name>'"
            )
        if name not in known:
            raise UserError(f"{name} is not a key of the configuration: {closest(name, known)}")


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise UserError(f"the section {name} is missing or not a mapping: leave it to its group, conf/{name}")
    return section


def _chosen_sections(composed: Composed, group: str) -> dict[str, dict[str, Any]]:
    """Sections of the chosen names; those that a preset configures although they are not chosen stay out."""
    section, names = MANY[group], composed.chosen[group]
    if not names:
        raise UserError(f"no {group} is chosen: name one with {group}=...")
    found = composed.config.get(section)
    if not isinstance(found, Mapping):
        raise UserError(f"{section} must be a mapping: set the keys of one, as in {section}.{names[0]}.<key>=...")
    for key in sorted(composed.asked):
        first, _, rest = key.partition(".")
        if first == section and rest and rest.split(".")[0] not in names:
            raise UserError(
                f"{key} is set, but {group} {rest.split('.')[0]} is not chosen: chosen is {', '.join(names)}"
            )
    for name in names:
        if not isinstance(found.get(name), Mapping):
            raise UserError(
                f"{section}.{name} must be a mapping: leave it to conf/{group}/{name}.yaml and set its keys"
            )
    return {name: _with_absolute_path(found[name]) for name in names}


def _with_absolute_path(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section with an absolute `path`: workers have another current folder, where a relative one differs."""
    path = section.get("path")
    return (
        {**section, "path": os.path.abspath(os.path.expanduser(path))}
        if path and isinstance(path, str)
        else dict(section)
    )


def _named(config: Mapping[str, Any], cls: type) -> dict[str, Any]:
    return {f.name: config.get(f.name) for f in fields(cls)}


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise UserError("seeds is empty: give at least one, as in 'seeds=[0,1,2]'")
    for seed in seeds:
        at_least("seeds", seed, 0)
        if seed >= 2**31:
            raise UserError(f"seeds={seed} is too large: give numbers below {2**31}")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"seeds={list(seeds)} names a seed twice: name each once")


def _search(section: Mapping[str, Any], asked: frozenset[str]) -> SearchSettings:
    objectives = section.get("objectives") or {}
    if isinstance(objectives, Mapping):  # null removes one
        section = {**section, "objectives": {metric: way for metric, way in objectives.items() if way is not None}}
    search = typed(SearchSettings, "search", section)
    one_of("search.kind", search.kind, KINDS)
    at_least("search.n_samples", search.n_samples, 1)
    at_least("search.seed", search.seed, 0)
    if search.kind not in ("random", "optuna") and "search.n_samples" in asked:
        raise UserError(f"search.n_samples has no effect with search={search.kind}: choose search=random or optuna")
    for metric, direction in search.objectives.items():
        one_of(f"search.objectives.{metric}", direction, DIRECTIONS)
    if search.kind == "optuna" and len(search.objectives) not in (1, 2):
        raise UserError(f"search.objectives names {len(search.objectives)} metrics: name one or two")
    return search


def _compute(section: Mapping[str, Any]) -> ComputeSettings:
    keys = {key: value for key, value in section.items() if key not in TARGETS}
    target = section.get("target")
    if target is not None:
        one_of("compute.target", str(target), TARGETS)
    compute = typed(ComputeSettings, "compute", {**keys, "submission": section.get(str(target)) or {}})
    for name, least in (("num_cpus", 1), ("num_gpus", 0), ("max_retries", 0), ("max_concurrent", 1)):
        at_least(f"compute.{name}", getattr(compute, name), least)
    for name in ("gpu_memory_mb", "memory_mb_per_trial"):
        at_least(f"compute.{name}", getattr(compute, name), 1)
    positive("compute.cpus_per_trial", compute.cpus_per_trial)
    positive("compute.trial_timeout_s", compute.trial_timeout_s)
    amount("compute.gpus_per_trial", compute.gpus_per_trial)
    amount("compute.cpus_per_trial", compute.cpus_per_trial)
    if compute.address is not None and (compute.num_cpus is not None or compute.num_gpus is not None):
        raise UserError(
            "compute.num_cpus and num_gpus are for a Ray started here, not the one at compute.address: leave them out"
        )
    if compute.gpu_memory_mb is not None and not compute.gpus_per_trial:
        raise UserError("compute.gpu_memory_mb has no effect without GPUs: set compute.gpus_per_trial as well")
    if compute.accelerator_type is not None and not compute.gpus_per_trial:
        raise UserError("compute.accelerator_type has no effect without GPUs: set compute.gpus_per_trial as well")
    return compute


def _tracking(section: Mapping[str, Any]) -> TrackingSettings:
    tracking = typed(TrackingSettings, "tracking", section)
    one_of("tracking.on_unreachable", tracking.on_unreachable, ON_UNREACHABLE)
    if not math.isfinite(tracking.flush_timeout_s) or tracking.flush_timeout_s < 0:
        raise UserError(f"tracking.flush_timeout_s={tracking.flush_timeout_s} must be a number of seconds >= 0")
    if tracking.uri is not None and not tracking.uri.strip():
        raise UserError("tracking.uri is missing: set it to the address of the server, tracking.uri=http://host:5000")
    if not tracking.experiment.strip():
        raise UserError("tracking.experiment is empty: name the MLflow experiment")
    return tracking
