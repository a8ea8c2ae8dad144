"""What a worker does for one piece of work: train a baseline, or prune one. Pure of Ray and MLflow.

Both kinds are generators: each step yields (fraction done, note for a person), and when the generator is exhausted the
result is committed to the store.
"""

import gc
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar

from prune_core.errors import UserError
from prune_core.measure import Stopwatch
from sweeps.process import pin
from sweeps.redact import redact_all
from sweeps.specs import (
    MASKS_FILE,
    MODEL_FILE,
    NETWORK_FILE,
    OUTPUTS,
    BaselineSpec,
    Result,
    TrialSpec,
    Work,
    of_dense,
)
from sweeps.store import ResultStore

if TYPE_CHECKING:
    from prune_core.pipeline import PruneResult
    from prune_core.tasks import OutputKind

Progress = tuple[float, str]


def prepare() -> None:
    """Import what work needs: its first piece then takes as long as the next ones. From now on the process waits."""
    pin()
    from prune_core import codec, models, pipeline, training  # noqa: F401
    from prune_core.measure import latency  # noqa: F401
    from sweeps.trial import (
        pictures,  # noqa: F401
        summary,  # noqa: F401
    )

    gc.collect()
    gc.freeze()  # what the libraries made stays: to look through it after every trial would take 0.1 s and more
    _Idle.begin()


def run(work: Work, data: Any, store: ResultStore) -> Iterator[Progress]:
    """Do one piece of work on a `prune_core.data.Dataset`.

    Raises:
        FileNotFoundError: a trial whose baseline is not in the store.
        UserError: the file of the dataset or the network is not the one that was planned with.
        Exception: whatever the work itself raises; nothing is committed then.
    """
    watch = _Idle.end()
    pin()
    import keras

    # A warm worker names layers as a fresh process would, and keeps no network of an earlier trial.
    keras.utils.clear_session(free_memory=False)
    gc.collect()
    try:
        _refuse_change(work.baseline, "dataset", data.info.fingerprint)
        if isinstance(work, BaselineSpec):
            yield from _run_baseline(work, data, store, watch)
        else:
            yield from _run_trial(work, data, store, watch)
    finally:
        _Idle.begin()


def _refuse_change(baseline: BaselineSpec, what: str, fingerprint: str | None) -> None:
    """What is computed from another file would stand under the planned one's key for ever."""
    if baseline.fingerprints.get(what, fingerprint) != fingerprint:
        raise UserError(
            f"the file of {what} {getattr(baseline, what)} has changed since the sweep was planned: run the same "
            "command again to plan with the new one"
        )


class _Idle:
    """The time in which this process could have worked and had nothing to do."""

    _since: ClassVar[float] = time.perf_counter()

    @classmethod
    def begin(cls) -> None:
        cls._since = time.perf_counter()

    @classmethod
    def end(cls) -> Stopwatch:
        watch = Stopwatch()
        watch.add({"wait": time.perf_counter() - cls._since})
        return watch


def _run_baseline(work: BaselineSpec, data: Any, store: ResultStore, watch: Stopwatch) -> Iterator[Progress]:
    from prune_core import models, training
    from prune_core.codec import size_bytes
    from prune_core.data import check_indices, fit_samples, range_warning
    from prune_core.masks import count_parameters, count_zeros, zeros_of
    from prune_core.measure import count_macs
    from prune_core.models.keras_file import save_network
    from prune_core.tasks import find_outputs
    from sweeps.trial import pictures

    info = data.info
    with watch.step("load"):
        about = models.check(work.model, work.model_config, info.input_shape, info.classes)
        _refuse_change(work, "model", about.fingerprint)
        model = models.build(work.model, work.model_config, info.input_shape, info.classes, work.seed)
        data = fit_samples(data, model.inputs[0].shape[1:])
        for x in (data.x_train, data.x_val, data.x_test):
            check_indices(x, about.raw)
        outputs = find_outputs(model, data.x_train, about.loss)
    history: list[Mapping[str, float]] = []
    epochs = 0 if about.trained else work.training["epochs"]
    checkpoint = store.training_state(work.key)
    held = zeros_of(model) if epochs and about.hold_zeros else {}
    if epochs:
        trained_epochs = training.epochs(
            model, data, work.training, work.seed, held, checkpoint=checkpoint, outputs=outputs.kind
        )
        for epoch, figures in enumerate(watch.each("train", trained_epochs), start=1):
            history.append(figures)
            yield epoch / epochs, f"epoch {epoch}/{epochs} val_accuracy {figures['val_accuracy']:.4f}"
    with watch.step("evaluate"):
        metrics = _accuracy(model, data, outputs.kind)
    unlikely = range_warning(data.x_train, work.dataset, work.dataset_config, about.raw)
    remarks = [text for text in (unlikely, *_guesses(metrics["val_accuracy"], data.y_val), outputs.remark) if text]
    if count := count_zeros(held):
        metrics["zeros_held"] = count
        remarks.append(f"{count:,} weights that were zero in the file stay zero (models.{work.model}.hold_zeros)")
    tags = {OUTPUTS: outputs.kind.value, **_warning(remarks)}
    if work.remark:
        tags["data"] = work.remark
    with watch.step("count"):
        total, nonzero = count_parameters(model)
        metrics |= {"params_total": total, "params_nonzero": nonzero, "epochs": epochs}
        metrics["macs"] = count_macs(model, sample_shape=data.x_train.shape[1:])
    with watch.step("encode"):
        metrics["size_bytes"] = size_bytes(model)
    with store.writing(work.key) as folder:
        with watch.step("save"):
            save_network(model, folder / MODEL_FILE)
        if history:
            with watch.step("pictures"):
                pictures.training_curve(history, folder / "training_curve.png", work.label)
        store.commit(folder, _result(work, metrics, tags, watch))
    checkpoint.remove()
    yield 1.0, f"accuracy {metrics['accuracy']:.4f}"


def _run_trial(work: TrialSpec, data: Any, store: ResultStore, watch: Stopwatch) -> Iterator[Progress]:
    from prune_core.codec import encode
    from prune_core.data import fit_samples
    from prune_core.masks import save_masks
    from prune_core.measure import compare_latency
    from prune_core.pipeline import share_weights
    from prune_core.spec import MethodSpec
    from sweeps.trial import pictures, summary

    with watch.step("load"):
        baseline = _Baseline.of(work.baseline.key, store)
        data = fit_samples(data, baseline.model.inputs[0].shape[1:])
    pruned = share_weights(_Pruned.of(work, baseline, data), MethodSpec.from_parameters(work.parameters))
    watch.add(pruned.seconds)
    yield 0.5, "pruned"
    with watch.step("encode"):
        encoded = encode(pruned.model)
    dense = baseline.metrics
    with watch.step("evaluate"):
        accuracy = _accuracy(pruned.model, data, baseline.outputs(data))
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
    tags = _warning(pruned.warnings)
    with store.writing(work.key) as folder:
        with watch.step("save"):
            save_masks(folder / MASKS_FILE, pruned.masks)
            (folder / NETWORK_FILE).write_bytes(encoded)
        with watch.step("pictures"):
            kernels = _kernels(baseline.model), _kernels(pruned.model)
            summary.save(folder / summary.SUMMARY_FILE, *kernels, pruned.by_products, example=data.x_test[0])
            pictures.masks(pruned.masks, pruned.by_products, data.info.input_shape, folder / "masks.png", work.label)
        store.commit(folder, _result(work, metrics, tags, watch))
    yield 1.0, f"accuracy {metrics['accuracy']:.4f} sparsity {metrics['sparsity']:.3f}"


class _Baseline:
    """A trained dense network as a warm worker keeps it: loaded once, its forward pass compiled once."""

    _kept: "_Baseline | None" = None

    def __init__(self, key: str, store: ResultStore) -> None:
        from prune_core.models.keras_file import load_network

        result = store.fetch(key)
        if result is None:
            raise FileNotFoundError(f"the baseline {key} is not in {store.root} any more: run the sweep again")
        self.identity = (key, store.root)
        self.metrics = result.metrics
        self._said = result.tags.get(OUTPUTS)
        self.model = load_network(store.folder(key) / MODEL_FILE)
        self._forward: Any = None

    @classmethod
    def of(cls, key: str, store: ResultStore) -> "_Baseline":
        """The baseline of this key; only the last one is kept, trials of one baseline come one after the other."""
        if cls._kept is None or cls._kept.identity != (key, store.root):
            cls._kept = None  # two networks at once may be too large
            cls._kept = cls(key, store)
        return cls._kept

    def outputs(self, data: Any) -> "OutputKind":
        """How its outputs are read, and those of whatever is made of it."""
        from prune_core.tasks import OutputKind, find_outputs

        return OutputKind(self._said) if self._said else find_outputs(self.model, data.x_train).kind

    def forward(self, batch_size: int, sample_shape: tuple[int, ...]) -> Any:
        """Its compiled forward pass."""
        from prune_core.measure import Forward

        if self._forward is None or self._forward.batch_size != batch_size:
            self._forward = Forward(self.model, batch_size, sample_shape=sample_shape)
        return self._forward


class _Pruned:
    """The last pruned network, kept for trials that differ from its own in nothing but their codebook."""

    _kept: "tuple[Any, PruneResult] | None" = None

    @classmethod
    def of(cls, work: TrialSpec, baseline: _Baseline, data: Any) -> "PruneResult":
        """What the trial makes of its baseline before weights are shared; `seconds` counts what was done now."""
        from prune_core.pipeline import before_sharing
        from prune_core.spec import MethodSpec

        method = {name: value for name, value in work.parameters.items() if name != "n_clusters"}
        identity = (baseline.identity, method, work.training, work.prune_output)
        if cls._kept is not None and cls._kept[0] == identity:
            return replace(cls._kept[1], seconds={})
        cls._kept = None
        pruned = before_sharing(
            baseline.model,
            MethodSpec.from_parameters(work.parameters),
            data=data,
            training={**work.baseline.training, **work.training},
            seed=work.baseline.seed,
            prune_output=work.prune_output,
            outputs=baseline.outputs(data),
        )
        if any(axis.partition(".")[0] == "n_clusters" for axis in work.axes):  # others may follow
            cls._kept = (identity, pruned)
        return pruned


def _kernels(model: Any) -> dict[str, Any]:
    from prune_core.weights import prunable_layers

    return {layer.name: layer.kernel.numpy() for layer in prunable_layers(model)}


def _accuracy(model: Any, data: Any, outputs: "OutputKind") -> dict[str, float]:
    """Choices are made on the validation split, the test split is reported."""
    from prune_core.training import evaluate

    test = evaluate(model, data.x_test, data.y_test, outputs=outputs)
    return {
        "accuracy": test.accuracy,
        "loss": test.loss,
        "val_accuracy": evaluate(model, data.x_val, data.y_val, outputs=outputs).accuracy,
    }


def _warning(remarks: Sequence[str]) -> dict[str, str]:
    """The tag of what a person must know."""
    return {"warning": "; ".join(remarks)} if remarks else {}


def _guesses(val_accuracy: float, y_val: Any) -> list[str]:
    """A sentence if a dense network is within two standard errors of naming one class for everything."""
    counts = Counter(y_val.tolist())
    share = max(counts.values()) / len(y_val)
    if val_accuracy > share + 2 * math.sqrt(share * (1 - share) / len(y_val)):
        return []
    return [
        f"with {100 * val_accuracy:.1f} % on validation it does no better than naming one class for "
        "everything, so what pruning costs cannot be seen: train it longer, or see that network and data fit"
    ]


def _result(work: Work, metrics: Mapping[str, float], tags: Mapping[str, str], watch: Stopwatch) -> Result:
    numbers = {name: float(value) for name, value in metrics.items()}
    odd = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if odd:  # MLflow and JSON take no NaN: say it instead
        tags = {**tags, "not_finite": ", ".join(odd)}
    return Result(
        key=work.key,
        kind=work.kind,
        params=work.params,
        metrics={name: value for name, value in numbers.items() if name not in odd},
        tags=dict(tags),
        started_at=watch.started_at,
        ended_at=time.time(),
        config=redact_all(asdict(work)),
        spans=watch.seconds,
    )
