"""Small fabricated sweeps, written through the real store: what tracking and report are tested with."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sweeps.config import TrackingSettings
from sweeps.specs import BaselineSpec, Plan, Result, TrialSpec, Work, content_key
from sweeps.store import ResultStore


@dataclass(frozen=True)
class Storage:
    root: Path


@dataclass(frozen=True)
class Settings:
    storage: Storage
    tracking: TrackingSettings = field(default_factory=TrackingSettings)


def baseline(seed: int = 0, model: str = "lenet_300_100", dataset: str = "digits") -> BaselineSpec:
    content = {"kind": "baseline", "dataset": dataset, "model": model, "seed": seed}
    return BaselineSpec(
        key=content_key(content),
        dataset=dataset,
        model=model,
        seed=seed,
        dataset_config={
            "loader": dataset,
            "sha256": "0" * 64,
            "test": {"fraction": 0.2, "seed": 0},
            "validation": {"fraction": 0.1, "seed": 0},
            "train_limit": None,
        },
        model_config={"units": [300, 100]},
        training={"epochs": 3},
    )


def trial(base: BaselineSpec, method: str = "importance", **axes: Any) -> TrialSpec:
    axes = axes or {"threshold": 0.5}
    return TrialSpec(
        key=content_key({"kind": "trial", "baseline": base.key, "method": method, **axes}),
        baseline=base,
        method=method,
        axes=axes,
        parameters={"score": "importance", **axes},
        prune_output=False,
        measure={"latency": False},
    )


def plan_of(*trials: TrialSpec, sweep_id: str = "0123456789ab") -> Plan:
    baselines = {t.baseline.key: t.baseline for t in trials}
    return Plan(sweep_id, tuple(baselines.values()), trials)


def grid(n_trials: int, sweep_id: str = "0123456789ab") -> Plan:
    """One baseline, `n_trials` thresholds."""
    base = baseline()
    return plan_of(*(trial(base, threshold=0.01 * i) for i in range(n_trials)), sweep_id=sweep_id)


def metrics_of(work: Work, accuracy: float = 0.9, sparsity: float = 0.5) -> dict[str, float]:
    if isinstance(work, BaselineSpec):
        return {"accuracy": 0.95, "val_accuracy": 0.94, "loss": 0.1, "params_total": 1000.0, "size_bytes": 4000.0}
    return {
        "accuracy": accuracy,
        "accuracy_baseline": 0.95,
        "accuracy_drop": 0.95 - accuracy,
        "loss": 0.3,
        "val_accuracy": accuracy - 0.01,
        "sparsity": sparsity,
        "sparsity.dense_1": sparsity,
        "params_total": 1000.0,
        "params_nonzero": 1000 * (1 - sparsity),
        "macs": 500.0,
        "macs_baseline": 1000.0,
        "size_bytes": 1000.0,
        "size_bytes_baseline": 4000.0,
        "compression_ratio": 4.0,
        "latency_ms": 1.0,
        "latency_ms_baseline": 2.0,
        "speedup": 2.0,
    }


def result_of(work: Work, metrics: Mapping[str, float] | None = None, ended_at: float | None = None) -> Result:
    base = work if isinstance(work, BaselineSpec) else work.baseline
    params = {"dataset": base.dataset, "model": base.model, "seed": base.seed}
    if isinstance(work, TrialSpec):
        params = {"method": work.method, **params, **work.axes}
    ended_at = time.time() if ended_at is None else ended_at
    metrics = metrics_of(work) if metrics is None else metrics
    return Result(work.key, work.kind, params, metrics, {}, ended_at - 2.0, ended_at, {}, asdict(work))


def commit(store: ResultStore, work: Work, result: Result | None = None, **changes: Any) -> Result:
    """Put a result and a file of its kind into the store."""
    result = replace(result or result_of(work), **changes)
    with store.writing(work.key) as folder:
        name = "model.keras" if isinstance(work, BaselineSpec) else "masks.npz"
        (folder / name).write_bytes(work.key.encode())
        return store.commit(folder, result)
