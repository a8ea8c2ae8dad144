"""(b) Against what a user would write with Ray Tune and MLflow: a function trainable and Ray's own MLflow callback."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeps.specs import MODEL_FILE, BaselineSpec, Plan
from sweeps.store import ResultStore
from tests.benchmarks.post_training import OVERRIDES
from tests.benchmarks.sweep_costs import in_fresh_process, plan_of, service


def tune_script(overrides: list[str], root: str) -> float:
    """Seconds of the straightforward script: each trial loads what it needs, prunes, evaluates and reports.

    It does what a trial of the sweep does, but draws nothing and writes no files. Its configuration is flat and
    complete, so that a run can be found again in MLflow.
    """
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    plan = plan_of(overrides)
    baseline = plan.baselines[0]
    store = ResultStore(Path(root))
    networks = {dense.seed: str(store.folder(dense.key) / MODEL_FILE) for dense in plan.baselines}
    started = time.perf_counter()

    def trial(config: dict[str, Any]) -> None:
        import keras

        import prune_core
        from prune_core.codec import size_bytes
        from prune_core.data import load
        from prune_core.measure import compare_latency
        from prune_core.training import evaluate

        data = load(config["dataset"], baseline.dataset_config, Path(root) / "data")
        dense = keras.saving.load_model(networks[config["seed"]])
        pruned = prune_core.prune(dense, config["method"], data=data, sparsity=config["sparsity"])
        test, validation = (
            evaluate(pruned.model, data.x_test, data.y_test),
            evaluate(pruned.model, data.x_val, data.y_val),
        )
        latency = compare_latency(dense, pruned.model, config["latency_batch_size"])
        figures = {
            "accuracy": test.accuracy,
            "loss": test.loss,
            "val_accuracy": validation.accuracy,
            "size_bytes": size_bytes(pruned.model),
            "latency_ms": latency.pruned_ms,
            "latency_ms_baseline": latency.dense_ms,
        }
        tune.report({**pruned.figures, **figures})

    ray.init(include_dashboard=False, log_to_driver=False)
    callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{root}/mlflow.db", experiment_name="naive")
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space=_flat(baseline) | {name: tune.grid_search(values) for name, values in _axes(plan).items()},
        run_config=tune.RunConfig(storage_path=f"{root}/tune", callbacks=[callback], verbose=0),
    )
    results = tuner.fit()
    seconds = time.perf_counter() - started
    assert results.num_errors == 0
    assert len(results) == len(plan.trials)
    ray.shutdown()
    return seconds


def _axes(plan: Plan) -> dict[str, list]:
    return {
        "method": list(dict.fromkeys(trial.method for trial in plan.trials)),
        "sparsity": list(dict.fromkeys(trial.axes["sparsity"] for trial in plan.trials)),
        "seed": [baseline.seed for baseline in plan.baselines],
    }


def _flat(baseline: BaselineSpec) -> dict[str, Any]:
    """The settings of a network as one level of names and plain values."""
    settings: dict[str, Any] = {"dataset": baseline.dataset, "model": baseline.model, "latency_batch_size": 256}
    for section in (baseline.model_config, baseline.training):
        settings |= {name: value for name, value in section.items() if not isinstance(value, dict)}
    return settings


def measure() -> dict:
    """The same 40 trials on the same trained networks, with all set-up on both sides."""
    with TemporaryDirectory(prefix="prune-sweep-bench-") as folder:
        dense, naive, sweep = (str(Path(folder) / name) for name in ("dense", "naive", "sweep"))
        in_fresh_process("sweep_costs:plain_loop", OVERRIDES, dense, "baseline")
        for root in (naive, sweep):
            shutil.copytree(dense, root)
        ours = service(OVERRIDES, sweep)
        theirs = in_fresh_process("naive_tune:tune_script", OVERRIDES, naive)
    return {
        "name": "naive_tune",
        "ratio": theirs / ours,
        "target": {"at_least": 8},
        "trials": 40,
        "Tune script s": theirs,
        "sweep s": ours,
    }
