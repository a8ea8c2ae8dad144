"""What scoring units by relevance costs, against training the same network on the same samples for one epoch."""

import statistics
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

MODEL = {
    "builder": "mlp",
    "hidden": [800, 800],
    "activation": "relu",
    "use_bias": True,
    "kernel_initializer": {"name": "truncated_normal", "stddev": 0.1},
    "bias_initializer": {"name": "constant", "value": 0.2},
    "dropout": 0.0,
}
TRAINING = {"epochs": 4, "batch_size": 128, "learning_rate": 0.001, "optimizer": "adam"}


def measure(samples: int = 60_000) -> dict[str, Any]:
    """Scoring time over epoch time, medians of interleaved runs, on noise of MNIST's shape and number.

    Scoring is timed as a trial does it, its compilation included; training with its compilation left out. Both have
    one thread, as a trial has unless it is told otherwise.
    """
    from prune_core.device import configure
    from prune_core.models import build
    from prune_core.scores import SCORES, ScoringContext
    from prune_core.training import epochs
    from prune_core.weights import prunable_layers

    configure(gpus=0, cpus=1)
    generator = np.random.default_rng(0)
    x = generator.random((samples, 28, 28, 1), np.float32)
    y = generator.integers(0, 10, samples)
    data = SimpleNamespace(x_train=x, y_train=y, x_val=x[:256], y_val=y[:256])
    model = build("mlp_800_800", MODEL, (28, 28, 1), 10, seed=0)
    context = ScoringContext(model, prunable_layers(model)[:-1], "unit", x, y, seed=0)
    score = SCORES.get("importance")

    training = epochs(model, data, TRAINING, seed=0)
    next(training)
    epoch_s, scoring_s = [], []
    for _ in range(TRAINING["epochs"] - 1):
        started = time.perf_counter()
        next(training)
        trained = time.perf_counter()
        score(context)
        epoch_s.append(trained - started)
        scoring_s.append(time.perf_counter() - trained)
    return {
        "name": "importance_cost",
        "ratio": statistics.median(scoring_s) / statistics.median(epoch_s),
        "target": {"at_most": 1.2},
        "samples": samples,
        "scoring_s": statistics.median(scoring_s),
        "epoch_s": statistics.median(epoch_s),
    }


if __name__ == "__main__":
    print(measure())
