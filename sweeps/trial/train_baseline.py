"""One piece of work: train a dense network, or take one from a file."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prune_core.errors import UserError
from prune_core.measure import Stopwatch
from sweeps.specs import MODEL_FILE, OUTPUTS, BaselineSpec
from sweeps.store import ResultStore
from sweeps.trial.result import Progress, accuracy_of, result_of, warning


def run_baseline(work: BaselineSpec, data: Any, store: ResultStore, watch: Stopwatch) -> Iterator[Progress]:
    """Train the network, or take it as it is, measure it, and commit the result.

    Raises:
        UserError: the network's file is not the one that was planned with, or the data do not fit the network.
    """
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
        refuse_change(work, "model", about.fingerprint)
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
        metrics = accuracy_of(model, data, outputs.kind)
    unlikely = range_warning(data.x_train, work.dataset, work.dataset_config, about.raw)
    remarks = [text for text in (unlikely, *_guesses(metrics["val_accuracy"], data.y_val), outputs.remark) if text]
    if count := count_zeros(held):
        metrics["zeros_held"] = count
        remarks.append(f"{count:,} weights that were zero in the file stay zero (models.{work.model}.hold_zeros)")
    tags = {OUTPUTS: outputs.kind.value, **warning(remarks)}
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
        store.commit(folder, result_of(work, metrics, tags, watch))
    checkpoint.remove()
    yield 1.0, f"accuracy {metrics['accuracy']:.4f}"


def refuse_change(baseline: BaselineSpec, what: str, fingerprint: str | None) -> None:
    """Raise UserError if a file has changed: its result would be stored under the key of the planned file."""
    if baseline.fingerprints.get(what, fingerprint) != fingerprint:
        raise UserError(
            f"the file of {what} {getattr(baseline, what)} has changed since the sweep was planned: run the same "
            "command again to plan with the new one"
        )


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
