"""The whole way from a trained network to a smaller one: score, select, mask, recover, shrink, share weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import keras
import numpy as np

from prune_core.data.fit import fits
from prune_core.errors import UserError
from prune_core.graph import shrink
from prune_core.graph.copying import copy_of
from prune_core.masks import apply_masks, count_parameters, count_zeros, kernel_sparsity, merged, zeros_of
from prune_core.measure import OpenSize, Stopwatch, count_macs
from prune_core.schedules.rvsm import Rvsm
from prune_core.scores import SCORES, ScoringContext
from prune_core.selections.coverage import left_out, prunable_weights, remark
from prune_core.selections.network import Masks, scope, score_and_select, whole
from prune_core.spec import MethodSpec, method_spec
from prune_core.tasks import OutputKind, find_outputs
from prune_core.training import as_splits, check_samples, check_training_data, drain, finetune, with_class_indices
from prune_core.transforms.clustering import cluster_weights
from prune_core.weights import PrunableLayer, layers_without_kernel, prunable_layers, weight_variables


@dataclass(frozen=True)
class PruneResult:
    """What pruning made of a network.

    Attributes:
        model: the network to deliver: units physically gone, weights shared, as the method says.
        masked: the network in its original shape, removed weights and units zero; outputs equal `model`'s unless
            weights are shared as well.
        masks: {weight path: bool array}, True = kept; without training, `masked` is any given weight times its mask.
            Weights that were zero in the given network may be True here: they were not what this pruning removed.
        figures: numbers by name: sparsity, sparsity.<layer>, params_total (given), params_prunable (its kernel weights
            that the method could prune) and params_nonzero (delivered), macs_baseline (given) and macs (delivered,
            weights that are not zero; both absent if the network takes any size and there are no data), and as far as
            the method makes them units.<layer>, shrink_difference, unique_values, n_clusters.<layer>, accuracy_w,
            zeros_held (weights that were zero in the given network and that training left so), ...
        warnings: what a person must know: nothing pruned, a layer dead, a layer that could not be pruned and why, a
            large part of the network that the method cannot prune.
        by_products: arrays that the score had to compute anyway, e.g. "input_relevance".
        seconds: wall time by step: copy, score, select, train (the method's own), finetune, shrink, cluster, count.
    """

    model: keras.Model
    masked: keras.Model
    masks: Masks = field(repr=False)
    figures: dict[str, float]
    warnings: tuple[str, ...] = ()
    by_products: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class _Job:
    """What the steps of one pruning share."""

    spec: MethodSpec
    given: keras.Model
    masked: keras.Model
    layers: list[PrunableLayer]
    data: Any
    training: Mapping[str, Any]
    seed: int
    prune_output: bool
    outputs: OutputKind | None = None
    held: Masks = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    by_products: dict[str, np.ndarray] = field(default_factory=dict)
    kept_whole: set[str] = field(default_factory=set)
    watch: Stopwatch = field(default_factory=Stopwatch)


def prune(
    model: keras.Model,
    method: str | MethodSpec = "weight",
    *,
    data: Any = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 0,
    prune_output: bool = False,
    **parameters: Any,
) -> PruneResult:
    """Prune a network; `model` itself is left as it is.

        prune(model, "importance", data=x, threshold=0.5)
        prune(model, "weight", sparsity=0.9, recovery="finetune", data=(x, y), training={"epochs": 1})

    Args:
        model: a built Sequential or functional Keras model.
        method: a name ("importance", "weight", "unit", "threshold", "cluster", "rvsm", "random") or a `MethodSpec`.
        data: inputs x (N, ...) for data-driven scores; where the method trains, (x, y), or an object with x_train,
            y_train, x_val, y_val, x_test, y_test such as `prune_core.data.Dataset`. With (x, y) alone, figures of the
            training itself are taken on these samples. Labels are class indices or one-hot rows. Nothing is scaled.
        training: epochs, batch_size, learning_rate, optimizer of the training that the method or its recovery does.
        seed: of random scores and of shuffling, >= 0.
        prune_output: prune the layer that makes the output as well.
        parameters: of the method: sparsity, threshold, n_clusters, recovery, score, ... (see `MethodSpec`).

    Raises:
        UserError: unknown method, missing or impossible parameters, data that is needed but not given.
        TrainingDiverged: the method's own training or its recovery did not stay finite.
        ShrinkError: the shrunk network does not compute what the masked one does (never delivered).
    """
    spec = method_spec(method, **parameters)
    pruned = before_sharing(model, spec, data=data, training=training, seed=seed, prune_output=prune_output)
    return share_weights(pruned, spec)


def before_sharing(
    model: keras.Model,
    spec: MethodSpec,
    *,
    data: Any = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 0,
    prune_output: bool = False,
    outputs: OutputKind | None = None,
) -> PruneResult:
    """`prune` without its last step: what methods that differ in `n_clusters` alone have in common.

    `outputs` says how the network's outputs are read where it is trained; None: found out.
    """
    _check_switches(seed, prune_output)
    watch = Stopwatch()
    with watch.step("copy"):
        masked = copy_of(model)
        _check_weights(masked)
    layers = scope(masked, prune_output)
    _check_scope(spec, masked, layers)
    job = _Job(
        spec,
        model,
        masked,
        layers,
        as_splits(data),
        training or {"epochs": 1},
        int(seed),
        bool(prune_output),
        outputs,
        watch=watch,
    )
    job.warnings += [
        f"{name} was kept whole: the weights of {kind} are of no kind that can be pruned"
        for name, kind in layers_without_kernel(masked).items()
    ]
    if spec.trains and spec.hold_zeros:
        _hold_zeros(job)
    masks = SCHEDULES[spec.schedule](job)
    apply_masks(masked, masks)
    RECOVERIES[spec.recovery](job, masks)
    _describe_masks(job, masks)
    delivered = _deliver(job)
    with watch.step("count"):
        job.figures |= _weight_and_work(job, model, delivered)
    _describe_coverage(job)
    return PruneResult(delivered, masked, masks, job.figures, tuple(job.warnings), job.by_products, watch.seconds)


def share_weights(pruned: PruneResult, spec: MethodSpec) -> PruneResult:
    """The last step of `prune`: weights shared if the spec says so; what `before_sharing` made is left as it is."""
    if spec.n_clusters is None:
        return pruned
    watch = Stopwatch()
    with watch.step("cluster"):
        model = copy_of(pruned.model)
        shared = cluster_weights(model, spec.n_clusters, include_biases=spec.include_biases)
    figures = {f"n_clusters.{name}": float(n) for name, n in shared.n_clusters.items()}
    figures |= {**pruned.figures, "unique_values": shared.unique_values}  # zeros stay what they are: counts hold
    return replace(pruned, model=model, figures=figures, seconds={**pruned.seconds, **watch.seconds})


def _weight_and_work(job: _Job, dense: keras.Model, delivered: keras.Model) -> dict[str, float]:
    """Parameters, and multiply-accumulates for one sample, before and after; without these where the size is open."""
    figures: dict[str, float] = {
        "params_total": count_parameters(dense)[0],
        "params_nonzero": count_parameters(delivered)[1],
    }
    shape = _sample_shape(job)
    try:
        figures["macs"] = count_macs(delivered, nonzero_only=True, sample_shape=shape)
        figures["macs_baseline"] = count_macs(dense, sample_shape=shape)
    except OpenSize as error:
        job.warnings.append(f"macs are left out, since the network takes samples of any size: {error}, data=x")
    return figures


def _sample_shape(job: _Job) -> tuple[int, ...] | None:
    """Shape of one sample, if there are data and they fit the network."""
    shape = None if job.data is None else np.shape(job.data.x_train)[1:]
    is_known = shape is not None and len(job.masked.inputs) == 1 and fits(shape, job.masked.inputs[0].shape[1:])
    return shape if is_known else None


def _check_switches(seed: Any, prune_output: Any) -> None:
    if not isinstance(seed, Integral) or seed < 0:
        raise UserError(f"seed={seed!r} must be a whole number >= 0")
    if not isinstance(prune_output, bool | np.bool_):
        raise UserError(f"prune_output={prune_output!r} must be True or False")


def _check_weights(model: keras.Model) -> None:
    for path, variable in weight_variables(model).items():
        values = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(values).all():
            count = np.count_nonzero(~np.isfinite(values))
            raise UserError(f"{path} holds {count} weights that are not finite: train with a lower learning rate")


def _check_scope(spec: MethodSpec, model: keras.Model, layers: list[PrunableLayer]) -> None:
    everywhere = prunable_layers(model)
    only_shares = spec.selection == "none" and spec.schedule == "one_shot"
    if not everywhere:
        raise UserError(f"the network {model.name!r} has no Dense or convolution layer that could be pruned")
    if not layers and not only_shares:
        names = " and ".join(layer.name for layer in everywhere)
        raise UserError(f"the network has no layer to prune but its output, {names}: set prune_output=True")


def _hold_zeros(job: _Job) -> None:
    job.held = zeros_of(job.masked)
    if count := count_zeros(job.held):
        job.figures["zeros_held"] = count
        job.warnings.append(
            f"{count:,} weights that were zero in the given network stay zero (hold_zeros=false lets them be trained)"
        )


def _one_shot(job: _Job) -> Masks:
    if job.spec.selection == "none":
        return whole(job.layers)
    if job.data is not None and SCORES.get(job.spec.score).needs_data:
        check_samples(job.masked, job.data.x_train)
    context = ScoringContext(
        model=job.masked,
        layers=job.layers,
        granularity=job.spec.granularity,
        x=None if job.data is None else job.data.x_train,
        y=None if job.data is None else job.data.y_train,
        seed=job.seed,
        include_biases=job.spec.include_biases,
        options=job.spec.options,
        by_products=job.by_products,
    )
    masks, kept_whole = score_and_select(job.spec, context, job.watch)
    job.warnings += [f"{layer} was kept whole: {why}" for layer, why in kept_whole.items()]
    job.kept_whole |= kept_whole.keys()
    if np.any(job.spec.threshold if job.spec.sparsity is None else job.spec.sparsity):
        _warn_if_whole(job, masks)
    return masks


def _warn_if_whole(job: _Job, masks: Masks) -> None:
    if all(mask.all() for mask in masks.values()):
        job.warnings.append("nothing was pruned")


def _rvsm(job: _Job) -> Masks:
    data = _labelled(job, "schedule=rvsm")
    assert job.spec.lambda_ is not None
    assert job.spec.beta is not None
    rvsm = Rvsm(
        job.masked,
        job.spec.lambda_,
        job.spec.beta,
        include_output=job.prune_output,
        held=job.held,
        outputs=job.outputs,
    )
    with job.watch.step("train"):
        drain(rvsm.epochs(data, job.training, job.seed))
        result = rvsm.result(data.x_test, data.y_test)
    job.figures["accuracy_w"] = result.accuracy_w
    job.figures["accuracy_u"] = result.accuracy_u
    job.figures["accuracy_reversed"] = result.accuracy_reversed
    frozen = [layer.name for layer in job.layers if layer.path not in result.masks]
    job.warnings += [f"{name} was kept whole: it is not trainable" for name in frozen]
    masks = {**whole(job.layers), **result.masks}
    if job.spec.lambda_:
        _warn_if_whole(job, masks)
    return masks


def _no_recovery(job: _Job, masks: Masks) -> None:
    """Deliver what pruning left."""


def _finetune(job: _Job, masks: Masks) -> None:
    data = _labelled(job, "recovery=finetune")
    if not job.masked.trainable_variables:
        job.warnings.append("nothing was fine-tuned: no layer of the network is trainable")
        return
    with job.watch.step("finetune"):
        finetune(job.masked, merged(masks, job.held), data, job.training, job.seed, outputs=job.outputs)


SCHEDULES = {"one_shot": _one_shot, "rvsm": _rvsm}
RECOVERIES = {"none": _no_recovery, "finetune": _finetune}


def _labelled(job: _Job, why: str) -> Any:
    if job.data is None or job.data.y_train is None:
        raise UserError(f"{why} trains: give data=(x, y)")
    data = with_class_indices(job.data)
    check_training_data(job.masked, data)
    if job.outputs is None:
        found = find_outputs(job.given, data.x_train)  # a copy is not compiled
        job.outputs = found.kind
        job.warnings += [found.remark] if found.remark else []
    return data


def _describe_masks(job: _Job, masks: Masks) -> None:
    overall, by_layer = kernel_sparsity(job.masked, job.layers)
    job.figures["sparsity"] = overall
    for layer in job.layers:
        job.figures[f"sparsity.{layer.name}"] = by_layer[layer.name]
        if by_layer[layer.name] == 1:
            job.warnings.append(f"{layer.name} is dead: all of its weights are zero")


def _describe_coverage(job: _Job) -> None:
    """How much of the network the method could prune."""
    prunable = prunable_weights(job.layers, job.kept_whole)
    job.figures["params_prunable"] = prunable
    is_sharing_only = job.spec.selection == "none" and job.spec.schedule == "one_shot"
    missing = left_out(job.masked, job.layers, job.kept_whole)
    sentence = remark(prunable, int(job.figures["params_total"]), missing)
    if sentence is not None and not is_sharing_only:
        job.warnings.insert(0, sentence)


def _deliver(job: _Job) -> keras.Model:
    delivered = job.masked
    if job.spec.granularity == "unit":
        with job.watch.step("shrink"):
            shrunk = shrink(job.masked, _sample_shape(job))
        delivered = shrunk.model
        job.figures["shrink_difference"] = shrunk.max_difference
        job.figures |= {f"units.{name}": len(kept) for name, kept in shrunk.kept.items()}
        inner = {layer.name for layer in job.layers if not layer.is_output} - job.kept_whole
        job.warnings += [f"{name} has silent units: {why}" for name, why in shrunk.pinned.items() if name in inner]
    return delivered
