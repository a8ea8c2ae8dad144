"""The parts that every result has: accuracy, warnings, and the record of the work."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prune_core.measure import Stopwatch
from sweeps.redact import redact_all
from sweeps.specs import Result, Work

if TYPE_CHECKING:
    from prune_core.tasks import OutputKind

Progress = tuple[float, str]
"""Fraction done, and a note for a person."""


def accuracy_of(model: Any, data: Any, outputs: "OutputKind") -> dict[str, float]:
    """Choices are made on the validation split, the test split is reported."""
    from prune_core.training import evaluate

    test = evaluate(model, data.x_test, data.y_test, outputs=outputs)
    return {
        "accuracy": test.accuracy,
        "loss": test.loss,
        "val_accuracy": evaluate(model, data.x_val, data.y_val, outputs=outputs).accuracy,
    }


def warning(remarks: Sequence[str]) -> dict[str, str]:
    """The tag with what a person must know."""
    return {"warning": "; ".join(remarks)} if remarks else {}


def record_of(work: Work) -> dict[str, Any]:
    """The fully resolved work, JSON-ready and without passwords."""
    return dict(redact_all(asdict(work)))


def result_of(work: Work, metrics: Mapping[str, float], tags: Mapping[str, str], watch: Stopwatch) -> Result:
    numbers = {name: float(value) for name, value in metrics.items()}
    odd = sorted(name for name, value in numbers.items() if not math.isfinite(value))
    if odd:  # MLflow and JSON do not take NaN: a tag names these metrics instead
        tags = {**tags, "not_finite": ", ".join(odd)}
    return Result(
        key=work.key,
        kind=work.kind,
        params=work.params,
        metrics={name: value for name, value in numbers.items() if name not in odd},
        tags=dict(tags),
        started_at=watch.started_at,
        ended_at=time.time(),
        config=record_of(work),
        spans=watch.seconds,
    )
