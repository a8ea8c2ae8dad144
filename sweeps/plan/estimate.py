"""A guess of how long work takes if nothing similar has run before: from multiplications, samples and epochs.

It tells the order of magnitude, minutes or days, before anything has run. Plan-time: no TensorFlow.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from prune_core import models
from prune_core.spec import MethodSpec
from prune_core.training.config import TrainingConfig
from sweeps.dataset_facts import facts_of
from sweeps.plan.points import point_of
from sweeps.specs import BaselineSpec, SearchSpec, TrialSpec

OPERATIONS_A_SECOND = 5e10
"""Floating-point operations of one core while it trains: 57e9 measured on both an MLP and a CNN of conf/model."""
PASSES = 3
"""A step costs the forward pass and about twice that for the gradients of activations and of weights."""
SECONDS_A_STEP = 1e-3
SECONDS_A_TRIAL = 1.5
"""What every trial does: copy, measure, encode, draw, store."""


def guessed_seconds(work: BaselineSpec | TrialSpec | SearchSpec) -> float | None:
    """Seconds on one core; None for a network or a dataset whose size is known only after loading."""
    if isinstance(work, BaselineSpec):
        return _times(work.training["epochs"], _epoch(work))
    if isinstance(work, SearchSpec):
        first = {axis: of["choices"][0] if "choices" in of else of["low"] for axis, of in work.ranges.items()}
        return _times(
            work.n_trials, _trial(work.baseline, point_of(work.method, work.fixed, first).spec, work.training)
        )
    return _trial(work.baseline, MethodSpec.from_parameters(work.parameters), work.training)


def _trial(baseline: BaselineSpec, method: MethodSpec, training: Mapping[str, Any]) -> float | None:
    epochs = method.epochs(TrainingConfig.from_mapping({**baseline.training, **training}))
    took = _times(epochs, _epoch(baseline))
    return None if took is None else SECONDS_A_TRIAL + took


def _epoch(baseline: BaselineSpec) -> float | None:
    facts = facts_of(baseline)
    samples = facts.sizes["train"] if facts else None
    if facts is None or samples is None:
        return None
    given = [baseline.model, baseline.model_config, facts.input_shape, facts.classes]
    macs = _macs(json.dumps(given, sort_keys=True, default=str))
    if macs is None:
        return None
    steps = samples / baseline.training.get("batch_size", 128)
    return steps * SECONDS_A_STEP + samples * 2 * PASSES * macs / OPERATIONS_A_SECOND


@functools.cache
def _macs(given: str) -> int | None:
    """Multiply-accumulates of a network for one sample."""
    model, model_config, input_shape, classes = json.loads(given)
    return models.check(model, model_config, tuple(input_shape), classes).macs


def _times(count: float, seconds: float | None) -> float | None:
    return None if seconds is None else count * seconds
