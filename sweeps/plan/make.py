"""Pure: settings in, an explicit `Plan` out. No Ray, no TensorFlow, no clock, no network.

A content key covers what determines a result, and only that: the data's fingerprint, the network's configuration (or
the fingerprint of its file), training, seed, the method's parameters. Names are part of it because a result carries
them; paths, storage, compute, tracking and the shape of a grid are not. What only some methods use (training.finetune)
is part of the keys of those trials only: after a change of it, no baseline is trained again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prune_core import data, models
from prune_core.axes import GRANULARITIES, SCHEDULES, SELECTIONS, trainers
from prune_core.data import DatasetInfo
from prune_core.errors import UserError
from prune_core.method_keys import USUAL
from prune_core.models import ModelInfo
from prune_core.selections.coverage import expectation
from prune_core.spec import MethodSpec
from prune_core.versions import versions_of_method, versions_of_network
from sweeps.config import Axes, Layers, SearchSettings, Settings, canonical, check_lists, layers_of
from sweeps.dataset_facts import facts_from
from sweeps.plan.points import (
    Point,
    drawn_points,
    end_points,
    grid_points,
    point_of,
    points_of_equal_layers,
    points_of_one_layer,
    with_layer_ranges,
)
from sweeps.specs import BaselineSpec, Plan, SearchSpec, TrialSpec, content_key

_NOT_CONTENT = ("path", "sha256")
"""Settings of a network from a file that are not part of its key: the fingerprint of the file is."""


def make_plan(settings: Settings) -> Plan:
    """Expand the settings into work.

    Raises:
        UserError: a network that cannot take a dataset, a dataset whose file is not usable, an impossible point.
    """
    points: dict[tuple[str, ...], list[Point]] = {}
    own_training = {name: settings.training[name] for name in trainers() if name in settings.training}
    baselines: dict[str, BaselineSpec] = {}
    trials: dict[str, TrialSpec] = {}
    searches: dict[str, SearchSpec] = {}
    remarks: dict[str, None] = {}
    for baseline, info in _baselines(settings):
        baselines.setdefault(baseline.key, baseline)
        layers = layers_of(info, settings.prune_output)
        for name, axes in settings.methods.items():
            remarks |= dict.fromkeys(_remarks(baseline.model, info, axes, settings.prune_output))
            if settings.search.kind == "optuna":
                search = _search(settings, baseline, axes, layers, own_training)
                searches.setdefault(search.key, search)
                continue
            case = (name, baseline.model, *info.kernel_layers)  # a network's layers may depend on the data
            if case not in points:
                points[case] = _points(settings.search, axes, baseline.model, layers)
            for point in points[case]:
                trial = _trial(baseline, name, point, own_training, settings.prune_output, settings.measure)
                trials.setdefault(trial.key, trial)
    keys = sorted([*trials, *searches])
    return Plan(
        sweep_id=content_key({"kind": "sweep", "work": keys})[:12],
        baselines=tuple(baselines.values()),
        trials=tuple(trials.values()),
        searches=tuple(searches.values()),
        remarks=tuple(remarks),
    )


def _remarks(model: str, info: ModelInfo, axes: Axes, prune_output: bool) -> Iterator[str]:
    """What a person should know before anything runs: that the method reaches only a small part of the network."""
    values = {axis: axes.grid.get(axis, (axes.fixed.get(axis) or usual,)) for axis, usual in USUAL.items()}
    selects = any(SELECTIONS.get(name).needs_scores for name in values["selection"])
    if not selects and all(SCHEDULES.get(name).selects for name in values["schedule"]):
        return
    for granularity in values["granularity"]:
        sentence = expectation(info, GRANULARITIES.get(granularity).scored_as == "unit", prune_output)
        if sentence is not None:
            yield f"models.{model}: {axes.method} {sentence}"


def trial_of(search: SearchSpec, point: Mapping[str, Any]) -> TrialSpec:
    """The trial of a point that a searcher proposed. Raises UserError for a point that is impossible for the method."""
    checked = point_of(search.method, search.fixed, {axis: point[axis] for axis in search.ranges})
    return _trial(search.baseline, search.method, checked, search.training, search.prune_output, search.measure)


def _points(search: SearchSettings, axes: Axes, model: str, layers: Layers) -> list[Point]:
    """The points of a method on a network, for searches that know them before anything runs."""
    if search.kind == "grid":
        points = grid_points(axes)
    elif search.kind == "sensitivity":
        points = points_of_one_layer(axes, layers)
    else:
        points = drawn_points(_searchable(axes, model, layers), search.n_samples, search.seed)
    for point in points:
        check_lists(model, point.spec, layers)
    return points


def _searchable(axes: Axes, model: str, layers: Layers) -> Axes:
    """The axes, with a range for each layer where that is asked for. Every end and choice of a range is checked."""
    some = with_layer_ranges(axes, layers)
    for point in end_points(some):
        check_lists(model, point.spec, layers)
    return some


def _baselines(settings: Settings) -> Iterator[tuple[BaselineSpec, ModelInfo]]:
    training = {key: value for key, value in settings.training.items() if key not in trainers()}
    for dataset, dataset_config in settings.datasets.items():
        described = data.describe(dataset, dataset_config)
        for model, model_config in settings.models.items():
            info = models.check(model, model_config, described.input_shape, described.classes)
            about, scaled_config, remark = _brought_together(described, dataset_config, info)
            fingerprints = {"dataset": about.fingerprint, "model": info.fingerprint}
            if not layers_of(info, settings.prune_output)["pruned"]:
                raise UserError(
                    f"models.{model} has no layer to prune but its output: choose another, or prune_output=true"
                )
            for seed in settings.seeds:
                key = content_key(_baseline_content(about, model, model_config, info, training, seed))
                config = (scaled_config, model_config, training)
                facts = facts_from(about)
                yield BaselineSpec(key, dataset, model, seed, *config, fingerprints, remark, facts=facts), info


def _brought_together(
    about: DatasetInfo, config: Mapping[str, Any], network: ModelInfo
) -> tuple[DatasetInfo, Mapping[str, Any], str]:
    """The dataset as the network gets it, its configuration for that, and what a person should know about it."""
    settled, scaled = data.settled(config, about.scaling, network.raw)
    remarks = [about.remark, scaled if network.fingerprint is not None else ""]  # networks of ours always take [0, 1]
    if settled is not config:
        about = data.describe(about.name, settled)
    return about, settled, "; ".join(filter(None, remarks))


def _baseline_content(
    about: DatasetInfo, model: str, config: Mapping[str, Any], info: ModelInfo, training: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    if info.fingerprint is not None:
        config = {key: value for key, value in config.items() if key not in _NOT_CONTENT}
    return {
        "kind": "baseline",
        "dataset": {"name": about.name, "fingerprint": about.fingerprint},
        "model": {"name": model, "fingerprint": info.fingerprint, "config": canonical(config)},
        "training": canonical(training),
        "seed": seed,
        **_versions(versions_of_network(is_given=info.fingerprint is not None)),
    }


def _versions(raised: Mapping[str, int]) -> dict[str, Any]:
    """The part of a key that tells changed computations from their first versions."""
    return {"versions": dict(raised)} if raised else {}


def _trial(
    baseline: BaselineSpec,
    method: str,
    point: Point,
    own_training: Mapping[str, Mapping[str, Any]],
    prune_output: bool,
    measure: Mapping[str, Any],
) -> TrialSpec:
    parameters = point.parameters
    training = _training_of(point.spec, own_training)
    key = content_key(
        {
            "kind": "trial",
            "baseline": baseline.key,
            "method": method,
            "parameters": canonical(parameters),
            "training": canonical(training),
            "prune_output": prune_output,
            "measure": canonical(measure),
            **_versions(point.versions),
        }
    )
    return TrialSpec(key, baseline, method, point.axes, parameters, prune_output, measure, training)


def _training_of(spec: MethodSpec, own_training: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parts of the section `training` that the method itself uses."""
    return {name: section for name, section in own_training.items() if name in (spec.schedule, *spec.recoveries)}


def _search(
    settings: Settings,
    baseline: BaselineSpec,
    axes: Axes,
    layers: Layers,
    own_training: Mapping[str, Mapping[str, Any]],
) -> SearchSpec:
    search, drawn = settings.search, _searchable(axes, baseline.model, layers)
    ranges = drawn.named_ranges()
    content: dict[str, Any] = {
        "baseline": baseline.key,
        "method": axes.method,
        "fixed": drawn.rest(ranges),
        "ranges": ranges,
        "n_trials": search.n_samples,
        "objectives": search.objectives,
        "seed": search.seed,
        "prune_output": settings.prune_output,
        "measure": settings.measure,
        "training": own_training,
    }
    if start := points_of_equal_layers(axes, layers):
        if len(start) >= search.n_samples:
            raise UserError(
                f"search.n_samples={search.n_samples} leaves nothing to search: a search layer by layer begins with "
                f"the {len(start)} points of the grid, so give more, or fewer in methods.{axes.method}.grid"
            )
        content["start"] = tuple(start)
    raised = {name: v for point in end_points(drawn) for name, v in versions_of_method(point.spec).items()}
    key = content_key({"kind": "search", **canonical(content), **_versions(raised)})
    return SearchSpec(key=key, **{**content, "baseline": baseline})
