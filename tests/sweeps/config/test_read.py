"""Typed settings, shortcuts, axes and ranges."""

from pathlib import Path

import pytest

from prune_core.errors import UserError
from sweeps.config import Axes, ComputeSettings, SearchSettings, Settings, settings_of
from sweeps.config.compose import compose
from sweeps.config.read import TrackingSettings
from sweeps.plan.points import drawn_points, grid_points


def settings(*overrides: str) -> Settings:
    return settings_of(compose(overrides))


def test_defaults_are_those_of_the_dataclasses() -> None:
    got = settings()
    assert got.seeds == [0]
    assert got.compute == ComputeSettings()
    assert got.tracking == TrackingSettings()
    assert got.search == SearchSettings()
    assert got.measure == {"latency": True, "latency_batch_size": 256}
    assert (got.prune_output, got.dry_run) == (False, False)


def test_folders_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    storage = settings("storage.root=out").storage
    assert storage.root == tmp_path / "out"
    assert storage.data == tmp_path / "cache" / "prune-sweep"
    assert settings("dataset=npz", "datasets.npz.path=x.npz").datasets["npz"]["path"] == str(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("overrides", "axis", "values"),
    [
        (["thresholds=[0.5,0.25]"], "threshold", (0.5, 0.25)),
        (["thresholds=0.5"], "threshold", (0.5,)),
        (["thresholds=[1,0.5,1.0,0.5]"], "threshold", (1, 0.5)),
        (["methods.importance.grid.threshold=[2]"], "threshold", (2,)),
        (["n_clusters=[none,16]"], "n_clusters", (None, 16)),
        (["n_clusters=[[2,3,4]]"], "n_clusters", ([2, 3, 4],)),
        (["recovery=[null,finetune]"], "recovery", ("none", "finetune")),
        (["methods.importance.selection=mean_relative"], "selection", ("mean_relative",)),
        (["methods.importance.start=output"], "start", ("output",)),
        (["+methods.importance.options.start=output"], "start", ("output",)),
        (["methods.importance.grid.start=[uniform,output]"], "start", ("uniform", "output")),
        (["methods.importance.threshold=0.3", "methods.importance.recovery=finetune"], "threshold", (0.3,)),
    ],
)
def test_values_of_an_axis(overrides: list[str], axis: str, values: tuple) -> None:
    assert settings(*overrides).methods["importance"].grid[axis] == values


def test_a_shortcut_sets_the_methods_that_have_the_axis_only() -> None:
    methods = settings("method=[importance,weight]", "thresholds=[0.3]").methods
    assert methods["importance"].grid["threshold"] == (0.3,)
    assert "threshold" not in methods["weight"].grid


def test_a_shortcut_of_a_preset_yields_to_the_command_line() -> None:
    methods = settings("experiment=clustering_after_pruning", "methods.weight.grid.sparsity=[0.5]").methods
    assert methods["weight"].grid["sparsity"] == (0.5,)
    assert methods["weight"].grid["recovery"] == ("finetune",)


def test_presets_for_methods_that_are_not_chosen_stay_out() -> None:
    assert list(settings("experiment=all_methods_small", "method=unit").methods) == ["unit"]


def test_values_asked_for_replace_a_range() -> None:
    assert settings().methods["importance"].ranges["threshold"]["high"] == 1.5
    for ask in ("thresholds=[0.3,0.4]", "methods.importance.grid.threshold=[0.3,0.4]"):
        assert settings(ask).methods["importance"].ranges["threshold"] == {"choices": [0.3, 0.4]}


def test_a_file_without_its_package_line_is_said(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("score: magnitude\n")
    with pytest.raises(UserError, match=r"conf/method lacks its first line: begin it with '# @package methods\."):
        settings("method=mine", f"hydra.searchpath=[file://{tmp_path}]")


AXES = Axes(
    method="mine",
    fixed={"score": "random"},
    grid={"granularity": ("weight", "unit"), "sparsity": (0.1, 0.2), "recovery": ("none",), "n_clusters": (None,)},
    ranges={
        "granularity": {"choices": ["weight", "unit"]},
        "sparsity": {"low": 0.01, "high": 0.9, "log": True, "integer": False},
        "recovery": {"choices": ["none"]},
        "n_clusters": {"choices": [None]},
    },
)


def test_the_grid_is_a_product_in_order_and_names_what_varies() -> None:
    assert [dict(point.axes) for point in grid_points(AXES)] == [
        {"granularity": "weight", "sparsity": 0.1},
        {"granularity": "weight", "sparsity": 0.2},
        {"granularity": "unit", "sparsity": 0.1},
        {"granularity": "unit", "sparsity": 0.2},
    ]
    assert {point.spec.score for point in grid_points(AXES)} == {"random"}


def test_draws_are_distinct_seeded_and_in_range() -> None:
    points = [dict(point.axes) for point in drawn_points(AXES, 50, seed=3)]
    assert points == [dict(point.axes) for point in drawn_points(AXES, 50, seed=3)]
    assert points != [dict(point.axes) for point in drawn_points(AXES, 50, seed=4)]
    assert len({str(point) for point in points}) == 50
    assert {point["granularity"] for point in points} == {"weight", "unit"}
    assert all(0.01 <= point["sparsity"] <= 0.9 for point in points)
    assert points[:10] == [dict(point.axes) for point in drawn_points(AXES, 10, seed=3)]


def test_a_logarithmic_draw_spreads_over_the_decades() -> None:
    values = [point.axes["sparsity"] for point in drawn_points(AXES, 300, seed=0)]
    middle = (0.01 * 0.9) ** 0.5
    assert 100 < sum(value < middle for value in values) < 200


def test_whole_numbers_reach_both_ends_and_are_drawn_once() -> None:
    bounds = {"n_clusters": {"low": 2, "high": 5, "log": True, "integer": True}}
    axes = Axes("cluster", {"selection": "none"}, {"n_clusters": (2, 3)}, bounds)
    assert sorted(point.axes["n_clusters"] for point in drawn_points(axes, 100, seed=0)) == [2, 3, 4, 5]


def test_a_grid_beyond_all_measure_is_refused_before_it_is_built() -> None:
    many = {f"axis_{i}": tuple(range(100)) for i in range(10)}
    with pytest.raises(UserError, match="give fewer values"):
        grid_points(Axes("mine", {}, many, {}))
