"""The whole service as its user meets it: the command line, real Ray processes, a real MLflow database."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import prune_core
from sweeps.run import main
from tests.helpers.real_sweep import EVERY_METHOD, METHODS, SMALL, client_of, runs_of, sweep

CONTRACT = {
    *("accuracy", "accuracy_baseline", "accuracy_drop", "loss", "loss_baseline"),
    *("val_accuracy", "val_accuracy_baseline"),
    *("sparsity", "sparsity.dense_1", "params_total", "params_nonzero", "macs", "macs_baseline"),
    *("size_bytes", "size_bytes_baseline", "compression_ratio", "latency_ms", "latency_ms_baseline", "speedup"),
    *(f"seconds{step}" for step in ("", ".wait", ".load", ".evaluate", ".encode", ".latency", ".pictures", ".save")),
}


def test_every_method_lands_in_mlflow_under_the_names_of_the_contract(finished):
    root, _ = finished
    trials = runs_of(root, "trial")
    assert sorted(run.data.params["method"] for run in trials) == METHODS
    (parent,) = runs_of(root, "sweep")
    (baseline,) = runs_of(root, "baseline")
    for run in [*trials, baseline]:
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["sweep.id"] == parent.data.tags["sweep.id"]
    for run in trials:
        assert not CONTRACT - set(run.data.metrics), run.data.params
        assert {"method", "dataset", "model", "seed"} <= set(run.data.params)
        assert run.data.tags["baseline.key"] == baseline.data.tags["baseline.key"]
    units = next(run for run in trials if run.data.params["method"] == "unit").data
    assert units.metrics["units.dense_1"] == 150
    assert units.metrics["shrink_difference"] <= 1e-5
    assert units.metrics["params_nonzero"] < units.metrics["params_total"] / 2
    clusters = next(run for run in trials if run.data.params["method"] == "cluster").data
    assert clusters.metrics["unique_values"] <= 3 * 16
    assert clusters.metrics["n_clusters.dense_1"] == 16


def test_artifacts_are_what_they_say(finished, tmp_path):
    root, _ = finished
    client = client_of(root)
    for run in runs_of(root, "trial"):
        masks = prune_core.load_masks(client.download_artifacts(run.info.run_id, "masks.npz", str(tmp_path)))
        kernels = [mask for path, mask in masks.items() if path.endswith("/kernel")]
        network = Path(client.download_artifacts(run.info.run_id, "network.pruned", str(tmp_path)))
        assert network.stat().st_size == run.data.metrics["size_bytes"]
        model = prune_core.decode(network.read_bytes())
        assert model(np.zeros((1, 8, 8, 1), "float32")).shape == (1, 10)
        if run.data.params["method"] == "weight":
            kept = sum(mask.sum() for mask in kernels) / sum(mask.size for mask in kernels)
            assert 1 - kept == pytest.approx(run.data.metrics["sparsity"])
            assert 1 - kept == pytest.approx(0.5, abs=1e-4)
    (parent,) = runs_of(root, "sweep")
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"results.csv", "plan.csv", "report.html", "accuracy_vs_sparsity.png"} <= names
    table = Path(client.download_artifacts(parent.info.run_id, "results.csv", str(tmp_path)))
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == len(METHODS)
    (baseline,) = runs_of(root, "baseline")
    for row in rows:  # all that a choice rests on stands in one row
        for name in ("accuracy", "val_accuracy", "loss"):
            assert float(row[f"{name}_baseline"]) == baseline.data.metrics[name]


def test_the_terminal_says_where_and_how_it_went(finished):
    root, done = finished
    lines = done.stdout.splitlines()
    assert lines[0] == f"results go to {root}, MLflow runs to sqlite:///{root}/mlflow.db"
    assert any(line.startswith("look at it: ") for line in lines)
    assert "rvsm" in done.stdout
    assert done.stderr == ""


def test_a_second_run_repeats_nothing(finished, capsys):
    root, _ = finished
    before = {file: json.loads(file.read_text()) for file in root.glob("results/*/result.json")}
    assert main([EVERY_METHOD, *SMALL, f"storage.root={root}"]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert again.out.count(", cached") == len(METHODS) + 1
    assert {file: json.loads(file.read_text()) for file in root.glob("results/*/result.json")} == before
    assert len(runs_of(root, "trial")) == len(METHODS)
    assert len(runs_of(root, "sweep")) == 1


def test_another_sweep_over_the_same_trials_shows_them_without_running_them(finished):
    root, _ = finished
    before = set(root.glob("results/*/result.json"))
    assert main(["method=[weight,unit]", *SMALL, f"storage.root={root}"]) == 0
    assert set(root.glob("results/*/result.json")) == before
    newest = max(runs_of(root, "sweep"), key=lambda run: run.info.start_time)
    shown = [run for run in runs_of(root, "trial") if run.data.tags["sweep.id"] == newest.data.tags["sweep.id"]]
    assert sorted(run.data.params["method"] for run in shown) == ["unit", "weight"]
    assert {run.data.tags["trial.cached"] for run in shown} == {"true"}


def test_recovery_and_clustering_follow_a_cnn_and_a_failure_stops_nothing_else(tmp_path, capsys):
    refused = [
        "method=[unit,importance]",
        "model=[cnn_32_64_1024,lenet_300_100]",
        "debug=quick",
        "recovery=finetune",
        "n_clusters=[[4,4,4,4]]",
        "dry_run=true",
        f"storage.root={tmp_path}",
    ]
    assert main(refused) == 2
    assert "n_clusters=[4,4,4,4] has 4 values, but lenet_300_100 has 3 layers" in capsys.readouterr().err
    done = sweep(
        tmp_path,
        "method=[unit,importance]",
        "model=cnn_32_64_1024",
        "debug=quick",
        "recovery=finetune",
        "n_clusters=[[4,5,6,7]]",
        "training.finetune.epochs=1",
    )
    assert done.returncode == 0, done.stderr
    for run in runs_of(tmp_path, "trial"):
        assert run.data.metrics["n_clusters.output"] == 7
        assert run.data.metrics["units.conv_1"] <= 32


@pytest.mark.slow
def test_a_training_that_diverges_blocks_its_trials_and_is_reported(tmp_path):
    done = sweep(tmp_path, "method=weight", "debug=quick", "training.learning_rate=1e30")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "blocked" in done.stdout
    assert "learning_rate" in done.stdout
    (baseline,) = runs_of(tmp_path, "baseline")
    assert baseline.info.status == "FAILED"
