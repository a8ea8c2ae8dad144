"""A pruning under way, as schedules and recoveries get it, and what is seen of it after each step."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np

from prune_core.graph.copying import copy_of
from prune_core.pruning import Progress, Pruning
from prune_core.spec import MethodSpec
from prune_core.testing.networks import weights_of
from prune_core.training.config import TrainingConfig
from prune_core.training.given_data import as_splits
from prune_core.weights import scope

TRAINING = {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3}
"""How networks are trained in the suites."""


class Seen(NamedTuple):
    """What a step left.

    Attributes:
        progress: what it yielded.
        masks: copies of the masks.
        weights: copies of the weights.
    """

    progress: Progress
    masks: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


def pruning_of(network: keras.Model, spec: MethodSpec, data: Any = None, seed: int = 0) -> Pruning:
    """A pruning that has not begun; `data` as `prune_core.prune` takes them."""
    model = copy_of(network)
    return Pruning(
        spec=spec,
        dense=network,
        model=model,
        layers=scope(model, prune_output=False),
        data=as_splits(data),
        training=TrainingConfig.from_mapping(TRAINING),
        seed=seed,
        prune_output=False,
    )


def watched(pruning: Pruning, steps: Iterable[Progress]) -> list[Seen]:
    """Run steps to their end; what is seen after each."""
    return [Seen(step, _copied(pruning.masks), weights_of(pruning.model)) for step in steps]


def check_progress(seen: Iterable[Seen]) -> None:
    """Raise AssertionError if fractions fall or leave [0, 1], or if a metric is not a number."""
    before = 0.0
    for step in seen:
        assert isinstance(step.progress, Progress), f"it yields {step.progress!r}, which is not a Progress"
        fraction = step.progress.fraction
        assert before <= fraction <= 1, f"the fraction is {fraction} after {before}"
        assert all(np.isfinite(float(number)) for number in step.progress.metrics.values())
        before = fraction


def check_removed(masks: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> None:
    """Raise AssertionError if a weight that is masked is not zero."""
    for path, mask in masks.items():
        assert mask.dtype == bool, f"the mask of {path} is {mask.dtype}, not bool"
        assert mask.shape == weights[path].shape, f"the mask of {path} has the shape {mask.shape}"
        assert not weights[path][~mask].any(), f"{path} is not zero where its mask says so"


def _copied(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {path: mask.copy() for path, mask in masks.items()}
