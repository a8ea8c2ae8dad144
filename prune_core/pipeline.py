"""The whole way from a trained network to a smaller one: score, select, mask, recover, shrink, share weights."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import keras
import numpy as np

from prune_core.delivery import deliver, describe_coverage, describe_masks, weight_and_work
from prune_core.entries import Entry
from prune_core.errors import UserError
from prune_core.granularities.base import Masks
from prune_core.graph.copying import copy_of
from prune_core.masks.held_zeros import count_zeros, zeros_of
from prune_core.measure import Stopwatch
from prune_core.pruning import Progress, Pruning
from prune_core.spec import MethodSpec, method_spec
from prune_core.tasks import OutputKind
from prune_core.training.checkpoint import EpochCheckpoint
from prune_core.training.config import TrainingConfig
from prune_core.training.given_data import as_splits
from prune_core.transforms.base import Transforming
from prune_core.weights import PrunableLayer, layers_without_kernel, prunable_layers, scope, weight_variables


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
            weights that are not zero; both absent if the network takes any size and there are no data), and, if the
            method makes them, units.<layer>, shrink_difference, unique_values, n_clusters.<layer>, accuracy_w,
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
        prune(model, "weight", sparsity=0.98, selection="global", schedule="iterative", steps=10, recovery="finetune",
              data=(x, y))

    Args:
        model: a built Sequential or functional Keras model.
        method: a name ("importance", "weight", "unit", "threshold", "cluster", "rvsm", "random") or a `MethodSpec`.
        data: inputs x (N, ...) for scores and recoveries that read data; where the method trains, (x, y), or an object
            with x_train, y_train, x_val, y_val, x_test, y_test such as `prune_core.data.Dataset`. With (x, y) alone,
            figures of the training itself are taken on these samples. Labels are class indices or one-hot rows. Nothing
            is scaled.
        training: epochs, batch_size, learning_rate, optimizer of the training that the method or its recovery does.
        seed: of random scores and of shuffling, >= 0.
        prune_output: prune the layer that makes the output as well.
        parameters: any axis of the method by another choice (score, granularity, selection, schedule, recovery) and the
            parameters of what is chosen: sparsity, threshold, steps, n_clusters, ... (see `MethodSpec`).

    Raises:
        UserError: unknown method, missing or impossible parameters, data that is needed but not given.
        TrainingDiverged: the method's own training or its recovery did not stay finite.
        ShrinkError: the shrunk network does not compute what the masked one does (never delivered).
    """
    spec = method_spec(method, **parameters)
    return finished(prune_steps(model, spec, data=data, training=training, seed=seed, prune_output=prune_output))


Steps = Generator[Progress, None, PruneResult]
"""A generator that yields how far it is, and returns the result at its end."""


def finished(steps: Steps) -> PruneResult:
    """Run steps to their end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def prune_steps(
    model: keras.Model,
    spec: MethodSpec,
    *,
    data: Any = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 0,
    prune_output: bool = False,
) -> Steps:
    """`prune` step by step, for callers that show progress or end it early: a generator that returns the result."""
    pruned = yield from before_transforms(
        model, spec, data=data, training=training, seed=seed, prune_output=prune_output
    )
    return transformed(pruned, spec, data=data, seed=seed)


def before_transforms(
    model: keras.Model,
    spec: MethodSpec,
    *,
    data: Any = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 0,
    prune_output: bool = False,
    outputs: OutputKind | None = None,
    checkpoint: EpochCheckpoint | None = None,
) -> Steps:
    """`prune_steps` without the transforms: what methods that differ in these alone have in common.

    Args:
        outputs: how the network's outputs are read where it is trained; None: found out.
        checkpoint: where the state of long training is kept, so that a killed training resumes instead of beginning
            again, bit for bit.
    """
    _check_switches(seed, prune_output)
    watch = Stopwatch()
    with watch.step("copy"):
        masked = copy_of(model)
        _check_weights(masked)
    layers = scope(masked, prune_output)
    _check_scope(spec, masked, layers)
    pruning = Pruning(
        spec=spec,
        dense=model,
        model=masked,
        layers=layers,
        data=as_splits(data),
        training=TrainingConfig.from_mapping(training or {"epochs": 1}),
        seed=int(seed),
        prune_output=bool(prune_output),
        outputs=outputs,
        watch=watch,
        checkpoint=checkpoint,
    )
    _check_needs(pruning)
    pruning.warn(
        *(
            f"{name} was kept whole: the weights of {kind} are of no kind that can be pruned"
            for name, kind in layers_without_kernel(masked).items()
        )
    )
    if spec.changes_weights and spec.hold_zeros:
        _hold_zeros(pruning)
    yield from spec.schedule_entry.load()(pruning)
    if np.any(spec.amount or 0) and all(mask.all() for mask in pruning.masks.values()):
        pruning.warn("nothing was pruned")
    describe_masks(pruning)
    delivered = deliver(pruning)
    with watch.step("count"):
        pruning.figures |= weight_and_work(pruning, model, delivered)
    describe_coverage(pruning)
    return PruneResult(
        delivered,
        masked,
        pruning.masks,
        pruning.figures,
        tuple(pruning.warnings),
        pruning.by_products,
        watch.seconds,
    )


def transformed(pruned: PruneResult, spec: MethodSpec, *, data: Any = None, seed: int = 0) -> PruneResult:
    """The last steps of `prune`: the spec's transforms. What `before_transforms` made is left as it is."""
    if not spec.transforms:
        return pruned
    under_way = Transforming(copy_of(pruned.model), spec, {}, as_splits(data), seed, dict(pruned.figures))
    for entry in spec.transform_entries:
        under_way.parameters = spec.settings_of(entry)
        entry.load()(under_way)
    return replace(
        pruned,
        model=under_way.model,
        figures=under_way.figures,
        warnings=(*pruned.warnings, *under_way.warnings),
        seconds={**pruned.seconds, **under_way.watch.seconds},
    )


def _check_switches(seed: Any, prune_output: Any) -> None:
    if not isinstance(seed, Integral) or seed < 0:
        raise UserError(f"seed={seed!r} must be a whole number >= 0")
    if not isinstance(prune_output, bool | np.bool_):
        raise UserError(f"prune_output={prune_output!r} must be True or False")


def _check_needs(pruning: Pruning) -> None:
    """Refuse a method that lacks what it needs before anything is computed."""
    spec = pruning.spec
    chosen: list[tuple[str, Entry]] = [("schedule", spec.schedule_entry)]
    chosen += [("recovery", entry) for entry in spec.recovery_entries]
    chosen += [("transforms", entry) for entry in spec.transform_entries]
    for axis, entry in chosen:
        if entry.needs_labels:
            pruning.labelled(f"{axis}={entry.name}")
        elif entry.needs_data:
            pruning.inputs(f"{axis}={entry.name}")


def _check_weights(model: keras.Model) -> None:
    for path, variable in weight_variables(model).items():
        values = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(values).all():
            count = np.count_nonzero(~np.isfinite(values))
            raise UserError(f"{path} holds {count} weights that are not finite: train with a lower learning rate")


def _check_scope(spec: MethodSpec, model: keras.Model, layers: list[PrunableLayer]) -> None:
    everywhere = prunable_layers(model)
    if not everywhere:
        raise UserError(f"the network {model.name!r} has no Dense or convolution layer that could be pruned")
    if not layers and spec.prunes:
        names = " and ".join(layer.name for layer in everywhere)
        raise UserError(f"the network has no layer to prune but its output, {names}: set prune_output=True")


def _hold_zeros(pruning: Pruning) -> None:
    pruning.held = zeros_of(pruning.model)
    if count := count_zeros(pruning.held):
        pruning.figures["zeros_held"] = count
        pruning.warnings.append(
            f"{count:,} weights that were zero in the given network stay zero (hold_zeros=false lets them be trained)"
        )
