"""A store and a database made by the last version are found and used: nothing is computed or shown a second time."""

import json
from pathlib import Path

import numpy as np
import pytest

import prune_core
from sweeps.run import main
from tests.helpers.drivers import fingerprints, finished_keys, planned
from tests.helpers.last_version import COMMAND, N_TRIALS, unpack
from tests.helpers.real_sweep import client_of, runs_of

KINDS = ("sweep", "baseline", "trial")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("last") / "outputs"
    unpack(root)
    return root


def start(root: Path, *overrides: str) -> int:
    return main([*COMMAND, *overrides, f"storage.root={root}"])


def test_a_plan_counts_every_trial_as_finished(root, capsys):
    before = fingerprints(root)
    assert start(root, "dry_run=true") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("  cached ") for line in lines) == N_TRIALS + 1
    assert lines[-2].startswith("to do: 0 baselines to train, 0 trials to run")
    assert lines[-2].endswith(f"; {N_TRIALS} trials cached")
    assert fingerprints(root) == before


def test_the_same_command_computes_nothing_and_shows_each_run_once(root, capsys):
    before = fingerprints(root)
    runs = {kind: {run.info.run_id for run in runs_of(root, kind)} for kind in KINDS}
    assert [len(runs[kind]) for kind in KINDS] == [1, 1, N_TRIALS]
    assert start(root) == 0
    said = capsys.readouterr()
    assert (said.out.count(", cached"), said.err) == (N_TRIALS + 1, "")
    assert fingerprints(root) == before
    assert {kind: {run.info.run_id for run in runs_of(root, kind)} for kind in KINDS} == runs
    assert {run.info.status for kind in KINDS for run in runs_of(root, kind)} == {"FINISHED"}
    keys = [run.data.tags["trial.key"] for run in runs_of(root, "trial")]
    assert sorted(keys) == sorted(trial.key for trial in planned(*COMMAND).trials)


def test_masks_and_networks_load(root, tmp_path):
    client = client_of(root)
    for run in runs_of(root, "trial"):
        result = root / "results" / run.data.tags["trial.key"]
        files = json.loads((result / "result.json").read_text())["result"]["files"]
        there = {name: Path(client.download_artifacts(run.info.run_id, name, str(tmp_path))) for name in files}
        assert all(path.read_bytes() == (result / name).read_bytes() for name, path in there.items())
        masks = prune_core.load_masks(there["masks.npz"])
        if run.data.params["method"] in ("weight", "threshold", "rvsm", "random"):
            removed = sum((~mask).sum() for path, mask in masks.items() if path.endswith("/kernel"))
            assert removed == round(run.data.metrics["sparsity"] * run.data.metrics["params_prunable"])
        model = prune_core.decode(there["network.pruned"].read_bytes())
        assert model(np.zeros((1, 8, 8, 1), "float32")).shape == (1, 10)


def test_one_new_point_of_the_grid_is_one_new_trial(root, capsys):
    before, keys = fingerprints(root), finished_keys(root)
    new = "methods.unit.grid.sparsity=[0.5,0.75]"
    assert start(root, new, "dry_run=true") == 0
    said = capsys.readouterr().out.splitlines()[-2]
    assert said.startswith("to do: 0 baselines to train, 1 trial to run")
    assert said.endswith(f"; {N_TRIALS} trials cached")
    alone = ("method=unit", *COMMAND[1:-2], new)  # a small sweep, which finds the same results
    assert main([*alone, "compute.num_cpus=1", "compute.num_gpus=0", f"storage.root={root}"]) == 0
    said = capsys.readouterr()
    assert (said.out.count(", cached"), said.err) == (2, "")
    (added,) = finished_keys(root) - keys
    plan = planned(*alone)
    assert [trial.axes for trial in plan.trials if trial.key == added] == [{"sparsity": 0.75}]
    assert {trial.key for trial in planned(*COMMAND, new).trials} - keys == {added}
    assert fingerprints(root).items() > before.items()
    shown = [run.data.tags for run in runs_of(root, "trial") if run.data.tags["sweep.id"] == plan.sweep_id]
    assert sorted(tags["trial.key"] for tags in shown) == sorted(trial.key for trial in plan.trials)
    assert [tags["trial.key"] for tags in shown if tags.get("trial.cached") != "true"] == [added]
