"""(b) Against what a user would write with Ray Tune and MLflow: a function trainable and Ray's own MLflow callback."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.post_training import OVERRIDES
from tests.benchmarks.sweep_costs import in_fresh_process, plan_of, service


def tune_script(overrides: list[str], root: str) -> float:
    """Seconds of the straightforward script: a function that prunes, evaluates and reports."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    plan = plan_of(overrides)
    started = time.perf_counter()

    def trial(config: dict) -> None:
        from sweeps.store import ResultStore
        from tests.benchmarks.sweep_costs import do

        work = next(trial for trial in plan.trials if trial.key == config["key"])
        from prune_core.data import load

        data = load(work.baseline.dataset, work.baseline.dataset_config, Path(root) / "data")
        store = ResultStore(Path(root))
        do(type(plan)(plan.sweep_id, (), (work,)), ["trial"], store, data)
        result = store.load(work.key)
        assert result is not None
        tune.report(dict(result.metrics))

    ray.init(include_dashboard=False, log_to_driver=False)
    callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{root}/mlflow.db", experiment_name="naive")
    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"key": tune.grid_search([trial.key for trial in plan.trials])},
        run_config=tune.RunConfig(storage_path=f"{root}/tune", callbacks=[callback], verbose=0),
    )
    results = tuner.fit()
    seconds = time.perf_counter() - started
    assert results.num_errors == 0
    ray.shutdown()
    return seconds


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
