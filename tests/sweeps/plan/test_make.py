"""Plans and content keys."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.spec import MethodSpec
from sweeps.config import settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan, trial_of
from sweeps.specs import Plan, TrialSpec


def plan(*overrides: str) -> Plan:
    return make_plan(settings_of(compose(overrides)))


def keys(works: Iterable) -> list[str]:
    return [work.key for work in works]


SMALL = ("dataset=digits", "model=lenet_300_100", "method=weight", "sparsities=[0.5]")


def test_baselines_are_planned_once_and_shared() -> None:
    got = plan(
        "method=[importance,unit]", "dataset=[mnist_5k,digits]", "model=[lenet_300_100,mlp_800_800]", "seeds=[0,1]"
    )
    assert len(got.baselines) == 2 * 2 * 2
    assert len(got.trials) == 8 * (5 + 10)
    assert len(set(keys(got))) == len(got) == 8 * 16
    assert {trial.baseline.key for trial in got.trials} == set(keys(got.baselines))


def test_equal_trials_are_planned_once() -> None:
    assert (
        len(plan("dataset=digits", "method=weight", "sparsities=[0.5,0.50,5e-1]", "recovery=[none,null]").trials) == 1
    )


def test_a_trial_is_the_whole_method() -> None:
    (trial,) = plan(*SMALL, "recovery=finetune", "n_clusters=16").trials
    assert trial.axes == {"sparsity": 0.5, "recovery": "finetune", "n_clusters": 16}
    assert trial.label == "weight sparsity=0.5 recovery=finetune n_clusters=16 lenet_300_100 digits seed 0"
    spec = MethodSpec.from_parameters(trial.parameters)
    assert (spec.sparsity, spec.recovery, spec.n_clusters, spec.score) == (0.5, "finetune", 16, "magnitude")
    assert trial.training == {"finetune": {"epochs": 5, "learning_rate": 0.0005}}


def test_what_is_asked_for_names_the_trial_and_what_is_usual_does_not() -> None:
    assert plan(*SMALL).trials[0].axes == {"sparsity": 0.5}
    got = plan("dataset=digits", "method=unit", "sparsities=[0.5]", "methods.unit.score=l1_norm")
    assert got.trials[0].axes == {"sparsity": 0.5, "score": "l1_norm"}


def test_the_option_of_a_score_is_an_axis_like_any_other() -> None:
    (usual,) = plan("thresholds=[0.5]").trials
    assert usual.axes == {"threshold": 0.5}
    got = plan("thresholds=[0.5]", "methods.importance.grid.start=[uniform,output]").trials
    assert [trial.axes for trial in got] == [{"threshold": 0.5, "start": start} for start in ("uniform", "output")]
    assert got[0].key == usual.key != got[1].key
    assert plan("thresholds=[0.5]", "methods.importance.start=output").trials[0].key == got[1].key
    drawn = plan("search=random", "search.n_samples=20", "methods.importance.grid.start=[uniform,output]").trials
    assert {trial.axes["start"] for trial in drawn} == {"uniform", "output"}
    by_importance = ("method=unit", "sparsities=[0.5]", "methods.unit.score=importance")
    assert plan(*by_importance, "+methods.unit.start=output").trials[0].axes["start"] == "output"


def test_the_options_of_a_score_go_with_it() -> None:
    (other,) = plan("thresholds=[0.5]", "methods.importance.score=l2_norm").trials
    assert other.axes == {"threshold": 0.5, "score": "l2_norm"}
    both = plan("thresholds=[0.5]", "+methods.importance.grid.score=[importance,l2_norm]").trials
    assert [trial.axes for trial in both] == [{"threshold": 0.5, "score": name} for name in ("importance", "l2_norm")]
    with pytest.raises(UserError, match="'start' is not an option of score=l2_norm"):
        plan("+methods.importance.grid.score=[importance,l2_norm]", "methods.importance.start=output")


def test_the_same_command_is_the_same_sweep_and_order_does_not_matter() -> None:
    assert plan(*SMALL) == plan(*SMALL)
    assert plan("method=[unit,weight]").sweep_id == plan("method=[weight,unit]").sweep_id
    assert plan(*SMALL).sweep_id != plan(*SMALL, "seeds=[1]").sweep_id


@pytest.mark.parametrize(
    "neutral",
    [
        "storage.root=elsewhere",
        "compute.max_retries=7",
        "tracking.experiment=other",
        "sparsities=[0.5,0.6]",
        "methods.weight.ranges.sparsity.high=0.7",
        "dry_run=true",
        "training.finetune.epochs=9",
        "method=[unit,weight]",
    ],
)
def test_what_does_not_determine_a_result_is_not_in_its_key(neutral: str) -> None:
    (trial,) = plan(*SMALL).trials
    got = plan(*SMALL, neutral)
    assert trial.key in keys(got.trials)
    assert trial.baseline.key in keys(got.baselines)


@pytest.mark.parametrize(
    ("different", "baseline_differs"),
    [
        ("dataset=mnist_5k", True),
        ("datasets.digits.validation.seed=1", True),
        ("datasets.digits.train_limit=500", True),
        ("model=mlp_800_800", True),
        ("models.lenet_300_100.hidden=[300,99]", True),
        ("training.epochs=3", True),
        ("seeds=[1]", True),
        ("sparsities=[0.51]", False),
        ("prune_output=true", False),
        ("recovery=finetune", False),
        ("n_clusters=8", False),
        ("methods.weight.include_biases=true", False),
        ("measure.latency=false", False),
    ],
)
def test_what_determines_a_result_is_in_its_key(different: str, baseline_differs: bool) -> None:
    (trial,), (other,) = plan(*SMALL).trials, plan(*SMALL, different).trials
    assert trial.key != other.key
    assert (trial.baseline.key != other.baseline.key) == baseline_differs


def test_finetuning_is_in_the_keys_of_trials_that_finetune_only() -> None:
    one, other = (plan(*SMALL, "recovery=[none,finetune]", *more) for more in ([], ["training.finetune.epochs=9"]))
    assert keys(one.baselines) == keys(other.baselines)
    assert one.trials[0].key == other.trials[0].key
    assert one.trials[1].key != other.trials[1].key


def test_numbers_are_equal_however_they_are_written() -> None:
    assert keys(plan("thresholds=[1]", "dataset=digits")) == keys(plan("thresholds=[1.0]", "dataset=digits"))


def test_the_path_of_a_file_is_not_in_the_key_but_its_content_is(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.random((60, 4), np.float32), np.arange(60) % 3
    trained = {}
    for name, images in {"one": x, "copy": x, "other": x[::-1]}.items():
        np.savez(tmp_path / f"{name}.npz", x_train=images, y_train=y, x_test=x, y_test=y)
        (trained[name],) = keys(plan("dataset=npz", f"datasets.npz.path={tmp_path}/{name}.npz").baselines)
    assert trained["one"] == trained["copy"] != trained["other"]


def test_one_count_a_layer_fits_the_networks_that_have_so_many() -> None:
    (trial,) = plan("method=cluster", "n_clusters=[[9,24,110,13]]", "model=cnn_16_32_256").trials
    assert trial.parameters["n_clusters"] == [9, 24, 110, 13]
    with pytest.raises(UserError, match="has 4 values, but lenet_300_100 has 3 layers"):
        plan("method=cluster", "n_clusters=[[9,24,110,13]]", "model=[cnn_16_32_256,lenet_300_100]")


def test_a_random_search_tries_the_same_points_everywhere() -> None:
    got = plan("method=[weight,unit]", "search=random", "search.n_samples=7", "dataset=digits", "seeds=[0,1]")
    points: dict[tuple, list] = {}
    for trial in got.trials:
        points.setdefault((trial.method, trial.baseline.seed), []).append(trial.axes)
    assert [len(tried) for tried in points.values()] == [7, 7, 7, 7]
    assert points["weight", 0] == points["weight", 1] != points["unit", 0]


def test_a_search_knows_its_ranges_and_its_trials_are_those_of_a_grid() -> None:
    (search,) = plan(*SMALL[:3], "search=optuna", "search.n_samples=9", "recovery=[none,finetune]").searches
    assert search.n_trials == 9
    assert search.objectives == {"val_accuracy": "max", "sparsity": "max"}
    assert search.ranges == {
        "sparsity": {"low": 0.0, "high": 0.99, "log": False, "integer": False},
        "recovery": {"choices": ["none", "finetune"]},
    }
    grid = plan(*SMALL, "recovery=[none,finetune]").trials
    found = [trial_of(search, {"sparsity": 0.5, "recovery": recovery}) for recovery in ("none", "finetune")]
    assert found == list(grid)
    with pytest.raises(UserError, match="sparsity=1 must be"):
        trial_of(search, {"sparsity": 1, "recovery": "none"})


def test_a_range_for_a_usual_axis_counts() -> None:
    span = "+methods.weight.ranges.n_clusters={low:2,high:64,log:true,integer:true}"
    (search,) = plan("method=weight", "search=optuna", span).searches
    assert list(search.ranges) == ["sparsity", "n_clusters"]
    assert "n_clusters" not in search.fixed
    drawn = plan("method=weight", "search=random", "search.n_samples=5", span).trials
    assert all(2 <= trial.axes["n_clusters"] <= 64 for trial in drawn)


def test_an_impossible_end_of_a_range_is_refused_while_planning() -> None:
    with pytest.raises(UserError, match=r"methods\.weight: sparsity=1\.5 must be a number in"):
        plan("method=weight", "search=random", "methods.weight.ranges.sparsity.high=1.5")


def test_a_network_without_hidden_layers_needs_prune_output() -> None:
    with pytest.raises(UserError, match="prune_output=true"):
        plan(*SMALL, "models.lenet_300_100.hidden=[]")
    assert len(plan(*SMALL, "models.lenet_300_100.hidden=[]", "prune_output=true").trials) == 1


def test_keys_stay_what_they_are() -> None:
    """Old results stand for new ones as long as these literals hold: raise RESULTS_VERSION with them, on purpose."""
    got = plan(
        "method=[importance,cluster,rvsm]",
        "dataset=digits",
        "model=lenet_300_100",
        "thresholds=[0.5]",
        "recovery=finetune",
        "methods.cluster.grid.n_clusters=[16]",
        "methods.rvsm.grid.lambda=[0.0005]",
    )
    assert got.sweep_id == "9e71e13d9d12"
    assert {getattr(work, "method", "baseline"): work.key for work in got} == {
        "baseline": "038a7950dd30509d9a00",
        "importance": "1774e446ad071de6dbf1",
        "cluster": "ac5476e189d71280ab4b",
        "rvsm": "fc2fa07518487df562a2",
    }


def test_a_hundred_thousand_trials_are_planned_and_distinct() -> None:
    settings = settings_of(compose(["method=weight", "dataset=digits", f"seeds={list(range(100))}".replace(" ", "")]))
    weight = settings.methods["weight"]
    wide = replace(weight, grid={**weight.grid, "sparsity": tuple(i / 1000 for i in range(1000))})
    got = make_plan(replace(settings, methods={"weight": wide}))
    assert len(got.trials) == len({trial.key for trial in got.trials}) == 100_000


def test_planning_imports_nothing_heavy() -> None:
    heavy = ["tensorflow", "keras", "ray", "mlflow", "sklearn", "pandas", "mlxtend", "matplotlib", "optuna", "scipy"]
    code = (
        "import sys; from sweeps.config.compose import compose; from sweeps.plan.make import make_plan;"
        "from sweeps.config.read import settings_of; make_plan(settings_of(compose([])));"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_trial_is_json_ready() -> None:
    (trial,) = plan(*SMALL).trials
    assert isinstance(trial, TrialSpec)
    json.dumps([dict(trial.parameters), dict(trial.baseline.model_config), dict(trial.training)], allow_nan=False)
