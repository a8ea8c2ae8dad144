"""One piece of work: prune a dense network, and measure the result."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prune_core.measure import Stopwatch
from sweeps.specs import MASKS_FILE, NETWORK_FILE, TrialSpec, of_dense
from sweeps.store import ResultStore
from sweeps.trial.result import Progress, accuracy_of, result_of, warning
from sweeps.trial.warm_baseline import WarmBaseline

if TYPE_CHECKING:
    from prune_core.pipeline import PruneResult, Steps
    from prune_core.spec import MethodSpec
    from prune_core.training import EpochCheckpoint

PRUNED = 0.8
"""The fraction of a trial that is done when the network is pruned; measuring and storing follow."""


def run_trial(work: TrialSpec, data: Any, store: ResultStore, watch: Stopwatch) -> Iterator[Progress]:
    """Prune the baseline, measure the pruned network, and commit the result.

    Raises:
        FileNotFoundError: the baseline is not in the store.
    """
    from prune_core.codec import encode
    from prune_core.data import fit_samples
    from prune_core.masks import save_masks
    from prune_core.measure import compare_latency
    from prune_core.pipeline import transformed
    from prune_core.spec import MethodSpec
    from sweeps.trial import pictures, summary

    with watch.step("load"):
        baseline = WarmBaseline.of(work.baseline.key, store)
        data = fit_samples(data, baseline.model.inputs[0].shape[1:])
    method = MethodSpec.from_parameters(work.parameters)
    checkpoint = store.training_state(work.key)
    before = yield from _Pruned.of(work, method, baseline, data, checkpoint)
    pruned = transformed(before, method, data=data, seed=work.baseline.seed)
    watch.add(pruned.seconds)
    yield PRUNED, "pruned"
    with watch.step("encode"):
        encoded = encode(pruned.model)
    dense = baseline.metrics
    with watch.step("evaluate"):
        accuracy = accuracy_of(pruned.model, data, baseline.outputs(data))
    metrics = {
        **pruned.figures,
        **accuracy,
        **of_dense(dense),
        "accuracy_drop": dense["accuracy"] - accuracy["accuracy"],
        "size_bytes": len(encoded),
        "size_bytes_baseline": dense["size_bytes"],
        "compression_ratio": dense["size_bytes"] / len(encoded),
    }
    if work.measure["latency"]:
        batch_size = work.measure["latency_batch_size"]
        with watch.step("latency"):
            shape = data.x_train.shape[1:]
            latency = compare_latency(baseline.forward(batch_size, shape), pruned.model, batch_size, sample_shape=shape)
        metrics |= {
            "latency_ms": latency.pruned_ms,
            "latency_ms_baseline": latency.dense_ms,
            "speedup": latency.dense_ms / latency.pruned_ms,
        }
    tags = warning(pruned.warnings)
    with store.writing(work.key) as folder:
        with watch.step("save"):
            save_masks(folder / MASKS_FILE, pruned.masks)
            (folder / NETWORK_FILE).write_bytes(encoded)
        with watch.step("pictures"):
            kernels = _kernels(baseline.model), _kernels(pruned.model)
            summary.save(folder / summary.SUMMARY_FILE, *kernels, pruned.by_products, example=data.x_test[0])
            pictures.masks(pruned.masks, pruned.by_products, data.info.input_shape, folder / "masks.png", work.label)
        store.commit(folder, result_of(work, metrics, tags, watch))
    checkpoint.remove_parts()
    yield 1.0, f"accuracy {metrics['accuracy']:.4f} sparsity {metrics['sparsity']:.3f}"


class _Pruned:
    """The last pruned network, kept for trials that differ from its own only in their transforms."""

    _kept: "tuple[Any, PruneResult] | None" = None

    @classmethod
    def of(
        cls, work: TrialSpec, method: "MethodSpec", baseline: WarmBaseline, data: Any, checkpoint: "EpochCheckpoint"
    ) -> "Generator[Progress, None, PruneResult]":
        """The pruned network before any transform; `seconds` counts only what was done now."""
        from prune_core.axes import transform_parameters
        from prune_core.pipeline import before_transforms

        transforms = {"transforms", *transform_parameters()}
        parameters = {name: value for name, value in method.parameters().items() if name not in transforms}
        identity = (baseline.identity, parameters, work.training, work.prune_output)
        if cls._kept is not None and cls._kept[0] == identity:
            return replace(cls._kept[1], seconds={})
        cls._kept = None
        steps = before_transforms(
            baseline.model,
            method,
            data=data,
            training={**work.baseline.training, **work.training},
            seed=work.baseline.seed,
            prune_output=work.prune_output,
            outputs=baseline.outputs(data),
            checkpoint=checkpoint,
        )
        pruned = yield from _shown(steps)
        if any(axis.partition(".")[0] in transforms for axis in work.axes):  # others may follow
            cls._kept = (identity, pruned)
        return pruned


def _shown(steps: "Steps") -> "Generator[Progress, None, PruneResult]":
    """The steps of a pruning as steps of a trial; returns the result of the pruning."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        accuracy = step.metrics.get("val_accuracy")
        yield PRUNED * step.fraction, step.note if accuracy is None else f"{step.note} val_accuracy {accuracy:.4f}"


def _kernels(model: Any) -> dict[str, Any]:
    from prune_core.weights import prunable_layers

    return {layer.name: layer.kernel.numpy() for layer in prunable_layers(model)}
