"""One value a layer: as a list, as an axis for each layer, and one layer at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from prune_core.errors import UserError
from prune_core.spec import MethodSpec
from sweeps.config import gathered, settings_of
from sweeps.config.compose import compose
from sweeps.engine.search import PointSource
from sweeps.plan import make_plan, trial_of
from sweeps.specs import Plan, TrialSpec

LENET = ("dataset=digits", "model=lenet_300_100")  # layers to prune: dense_1, dense_2
PER_LAYER = "methods.weight.ranges.sparsity.per_layer=true"


def plan(*overrides: str) -> Plan:
    return make_plan(settings_of(compose([*LENET, *overrides])))


def test_a_list_is_one_point_of_the_axis() -> None:
    even, uneven = plan("method=unit", "sparsities=[0.5,[0.25,0.75]]").trials
    assert (even.axes, uneven.axes) == ({"sparsity": 0.5}, {"sparsity": [0.25, 0.75]})
    assert uneven.label == "unit sparsity=[0.25,0.75] lenet_300_100 digits seed 0"
    assert MethodSpec.from_parameters(uneven.parameters).sparsity == (0.25, 0.75)


def test_the_output_has_a_share_only_if_it_is_pruned() -> None:
    (trial,) = plan("method=weight", "sparsities=[[0.5,0.5,0.1]]", "prune_output=true").trials
    assert trial.parameters["sparsity"] == [0.5, 0.5, 0.1]
    with pytest.raises(UserError, match=r"has 3 values, but lenet_300_100 has 2 layers to prune \(dense_1, dense_2\)"):
        plan("method=weight", "sparsities=[[0.5,0.5,0.1]]")


@pytest.mark.parametrize("search", ["optuna", "random"])
def test_a_list_that_does_not_fit_is_refused_in_every_search(search: str) -> None:
    with pytest.raises(UserError, match="has 4 values, but lenet_300_100 has 2 layers to prune"):
        plan("method=weight", f"search={search}", "methods.weight.grid.sparsity=[0.5,[0.1,0.2,0.3,0.4]]")


def test_sensitivity_prunes_one_layer_at_a_time() -> None:
    got = plan("method=weight", "search=sensitivity", "sparsities=[0,0.5,0.9]", "recovery=[none,finetune]").trials
    assert [dict(trial.axes) for trial in got[:4]] == [
        {"sparsity.dense_1": 0.5, "recovery": "none"},
        {"sparsity.dense_1": 0.5, "recovery": "finetune"},
        {"sparsity.dense_1": 0.9, "recovery": "none"},
        {"sparsity.dense_1": 0.9, "recovery": "finetune"},
    ]
    assert [trial.parameters["sparsity"] for trial in got[::2]] == [[0.5, 0], [0.9, 0], [0, 0.5], [0, 0.9]]
    assert got[-1].label == "weight sparsity.dense_2=0.9 recovery=finetune lenet_300_100 digits seed 0"


def test_networks_with_other_layers_have_points_of_their_own() -> None:
    overrides = ["dataset=mnist_5k", "model=[lenet_300_100,cnn_16_32_128]", "method=unit", "search=sensitivity"]
    trials = make_plan(settings_of(compose(overrides))).trials
    layers = {(trial.baseline.model, axis) for trial in trials for axis in trial.axes}
    assert layers == {
        *(("lenet_300_100", f"sparsity.{layer}") for layer in ("dense_1", "dense_2")),
        *(("cnn_16_32_128", f"sparsity.{layer}") for layer in ("conv_1", "conv_2", "dense_1")),
    }


def test_a_search_draws_each_layer_for_itself() -> None:
    (search,) = plan("method=weight", "search=optuna", PER_LAYER).searches
    limits = {"low": 0.0, "high": 0.99, "log": False, "integer": False}
    assert search.ranges == {"sparsity.dense_1": limits, "sparsity.dense_2": limits}
    trial = trial_of(search, {"sparsity.dense_2": 0.9, "sparsity.dense_1": 0.25})
    assert trial.axes == {"sparsity.dense_1": 0.25, "sparsity.dense_2": 0.9}
    assert trial.parameters["sparsity"] == [0.25, 0.9]
    drawn = plan("method=weight", "search=random", "search.n_samples=5", PER_LAYER).trials
    assert len({tuple(trial.parameters["sparsity"]) for trial in drawn}) == 5


def test_a_search_draws_codebooks_layer_by_layer() -> None:
    overrides = ["method=cluster", "search=random", "search.n_samples=4"]
    for trial in plan(*overrides, "methods.cluster.ranges.n_clusters.per_layer=true").trials:
        assert list(trial.axes) == [f"n_clusters.{layer}" for layer in ("dense_1", "dense_2", "output")]
        assert trial.parameters["n_clusters"] == list(trial.axes.values())


def test_values_asked_for_replace_the_ranges_of_all_layers() -> None:
    (search,) = plan("method=weight", "search=optuna", PER_LAYER, "sparsities=[0.5,0.6]").searches
    assert search.ranges == {"sparsity": {"choices": [0.5, 0.6]}}


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["method=importance", "search=sensitivity"], "search=sensitivity needs methods.importance.grid.sparsity"),
        (["method=weight", "search=sensitivity", "sparsities=[0]"], "must be numbers above 0"),
        (["method=weight", "search=sensitivity", "sparsities=[[0.5,0.5]]"], "must be numbers above 0"),
        (["method=weight", "search=sensitivity", "search.n_samples=3"], "search.n_samples"),
        (["method=weight", "search=optuna", "methods.weight.ranges.sparsity.per_layer=yes please"], "true or false"),
        (["method=weight", "search=optuna", PER_LAYER, "search.n_samples=10"], "leaves nothing to search"),
        (["search=optuna", "+methods.importance.ranges.threshold.per_layer=true"], "sparsity and n_clusters"),
    ],
)
def test_mistakes_are_one_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=r"\w") as caught:
        plan(*overrides)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_names_of_layers_are_gathered() -> None:
    assert gathered({"sparsity.a/b.c": 1, "lambda": 2, "sparsity.d": 3}) == {"sparsity": [1, 3], "lambda": 2}
    assert gathered({"my.option": 1}) == {"my.option": 1}


def test_a_search_layer_by_layer_starts_with_the_same_value_for_all_layers() -> None:
    overrides = ["method=weight", "search=optuna", PER_LAYER, "methods.weight.ranges.sparsity.low=0.9"]
    (search,) = plan(*overrides).searches
    values = [0.9, 0.95, 0.97, 0.99]  # those of the grid that are in range
    assert search.start == tuple({"sparsity.dense_1": value, "sparsity.dense_2": value} for value in values)
    (plain,) = plan("method=weight", "search=optuna").searches
    assert plain.start == ()
    counts = "+methods.weight.ranges.n_clusters={low:2,high:64,log:true,integer:true,per_layer:true}"
    (unstarted,) = plan("method=weight", "search=optuna", counts).searches  # the grid has no count to start with
    assert unstarted.start == ()


def test_axes_with_any_layer_path_and_any_values_are_proposed_as_they_are(tmp_path: Path) -> None:
    (search,) = plan("method=weight", "search=optuna", PER_LAYER).searches
    share = {"low": 0.0, "high": 0.5, "log": False, "integer": False}
    ranges = {"sparsity.block/dense.1": share, "sparsity.block/conv": share, "n_clusters": {"choices": [[2, 4], 8]}}
    points = PointSource(replace(search, ranges=ranges, start=()), tmp_path / "points")
    for _ in range(20):
        number, trial = points.propose()
        assert set(trial.axes) == set(ranges)
        assert trial.axes["n_clusters"] in ([2, 4], 8)
        assert all(0 <= trial.axes[axis] <= 0.5 for axis in ranges if axis != "n_clusters")
        points.tell(number, None if number % 5 == 0 else {"val_accuracy": 0.5, "sparsity": float(number % 5 or "nan")})


def test_points_to_start_with_are_proposed_first_and_learned_from(tmp_path: Path) -> None:
    overrides = ["method=weight", "search=optuna", PER_LAYER, "search.n_samples=40"]
    overrides += ["search.objectives={val_accuracy:max,sparsity:null}", "methods.weight.ranges.sparsity.low=0.9"]
    (search,) = plan(*overrides).searches

    def tell_all(points: PointSource, count: int) -> list[TrialSpec]:
        trials = []
        for _ in range(count):
            number, trial = points.propose()
            first, second = trial.parameters["sparsity"]
            points.tell(number, {"val_accuracy": 1 - abs(first - 0.97) - abs(second - 0.91)})
            trials.append(trial)
        return trials

    first = tell_all(PointSource(search, tmp_path / "points"), 3)
    assert [trial.parameters["sparsity"] for trial in first] == [[0.9, 0.9], [0.95, 0.95], [0.97, 0.97]]
    again = tell_all(PointSource(search, tmp_path / "points"), 40)  # a resumed sweep
    assert again[:3] == first
    assert again[3].parameters["sparsity"] == [0.99, 0.99]
    best = max(0.94 - abs(a - 0.97) - abs(b - 0.91) for a, b in (trial.parameters["sparsity"] for trial in again))
    assert best > 0.9  # no equal shares come nearer than 0.88
