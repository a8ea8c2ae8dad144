"""Published numbers: read from presets, refused when wrong, part of no key, and each with a counterpart in its plan."""

import pytest

from prune_core.errors import UserError
from sweeps.config import Reference, choices, settings_of
from sweeps.config.compose import compose
from sweeps.plan import make_plan

SECTION = {
    "source": "a paper",
    "dataset": "mnist",
    "model": "lenet_5",
    "dense": {"accuracy": 0.99},
    "points": [{"method": "weight", "axes": {"sparsity": 0.5}, "metrics": {"accuracy": 0.98}}],
}
PRESETS = [name for name in choices()["experiment"] if compose([f"experiment={name}"]).config["reference"]]


def test_a_section_is_read():
    reference = Reference.read(SECTION)
    assert (reference.source, reference.dense) == ("a paper", {"accuracy": 0.99})
    (point,) = reference.points
    assert (point.method, point.axes, point.metrics) == ("weight", {"sparsity": 0.5}, {"accuracy": 0.98})
    assert reference.points_on("lenet_5", "mnist") == (point,)
    assert reference.points_on("lenet_5", "digits") == ()


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_section_is_no_reference(nothing):
    assert Reference.read(nothing) is None


def test_a_point_matches_trials_that_agree_on_all_axes_it_names():
    (point,) = Reference.read(SECTION).points
    assert point.matches("weight", {"sparsity": 0.5, "recovery": "finetune"})
    assert not point.matches("unit", {"sparsity": 0.5})
    assert not point.matches("weight", {"sparsity": 0.6})
    assert not point.matches("weight", {})


def test_equal_numbers_match_however_they_are_written():
    point = Reference.read({**SECTION, "points": [{"method": "a", "axes": {"k": [9, 24]}, "metrics": {}}]}).points[0]
    assert point.matches("a", {"k": (9.0, 24)})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sauce": "x"}, "reference.sauce is not a key"),
        ({"source": None}, "reference.source is missing"),
        ({"model": 5}, "reference.model=5 must be a text"),
        ({"dense": {"accuracy": "good"}}, "reference.dense.accuracy='good' must be a number"),
        ({"dense": {"accuracy": float("nan")}}, "reference.dense.accuracy=nan must be a number"),
        ({"points": 3}, "reference.points must be a list"),
        ({"points": [{"method": "weight"}]}, "reference.points[0].metrics is missing"),
        ({"points": [{"method": "weight", "metrics": {}, "axis": {}}]}, "reference.points[0].axis is not a key"),
    ],
)
def test_a_wrong_section_is_refused_by_its_key(changes, named):
    with pytest.raises(UserError) as refused:
        Reference.read({**SECTION, **changes})
    assert named in str(refused.value)


def test_the_four_sources_are_presets():
    assert PRESETS == ["importance_mnist", "rvsm_mnist", "weight_unit_fashion", "zero_cluster_mnist"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_published_point_has_its_counterpart_in_the_plan(name):
    settings = settings_of(compose([f"experiment={name}"]))
    reference = settings.reference
    plan = make_plan(settings)
    assert {(b.model, b.dataset) for b in plan.baselines} == {(reference.model, reference.dataset)}
    assert len(plan.baselines) >= 3
    for point in reference.points:
        assert any(point.matches(trial.method, trial.axes) for trial in plan.trials), point


def test_published_numbers_are_part_of_no_key():
    plain = make_plan(settings_of(compose(["experiment=importance_mnist"])))
    changed = make_plan(settings_of(compose(["experiment=importance_mnist", "reference.dense.accuracy=0.5"])))
    assert plain == changed
