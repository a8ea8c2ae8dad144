"""What is drawn as one line, and the Pareto front."""

from hypothesis import given
from hypothesis import strategies as st

from sweeps.reporting.figures.lines import best_lines, by_what_follows, lines_of, pareto
from sweeps.reporting.results import Group


def group(method="weight", accuracy=0.9, size=1.0, **axes):
    return Group(method, axes, "lenet_5", "digits", (0,), {"accuracy": [accuracy], "size": [size]}, 0.0)


def test_a_line_runs_along_its_axis_in_order():
    (line,) = lines_of([group(sparsity=0.9), group(sparsity=0), group(sparsity=0.5)])
    assert (line.label, line.axis, line.is_cloud) == ("weight", "sparsity", False)
    assert [g.axes["sparsity"] for g in line.groups] == [0, 0.5, 0.9]


def test_what_is_no_number_parts_lines():
    points = [group(sparsity=s, recovery=r) for r in ("none", "finetune") for s in (0.5, 0.9)]
    first, second = lines_of(points)
    assert [first.label, second.label] == ["weight", "weight recovery=finetune"]
    assert (first.number, second.number) == (0, 1)


def test_the_first_axis_of_numbers_is_the_line_and_a_second_parts_it():
    points = [group("rvsm", **{"lambda": lam, "beta": beta}) for lam in (1e-4, 1e-3) for beta in (0.1, 0.5)]
    assert [line.label for line in lines_of(points)] == ["rvsm beta=0.1", "rvsm beta=0.5"]


def test_codebooks_of_several_sizes_lie_on_a_line_with_none_first():
    points = [group("cluster", n_clusters=k) for k in (16, [4, 2], None)]
    (line,) = lines_of(points)
    assert [g.axes["n_clusters"] for g in line.groups] == [None, [4, 2], 16]


def test_many_lines_are_a_cloud():
    points = [group("threshold", threshold=t, n_clusters=k) for t in (0.01, 0.02) for k in (2, 4, 8, 16, 32)]
    (line,) = lines_of(points)
    assert line.is_cloud
    assert line.label == "threshold, best of 10"
    assert len(line.groups) == 10


def test_what_follows_on_pruning_parts_panels_and_needs_no_mention_in_them():
    points = [
        group(method, sparsity=s, recovery=r, **({"granularity": g} if g else {}))
        for method, g in (("weight", ""), ("random", "unit"), ("random", "weight"))
        for s in (0.5, 0.9)
        for r in ("none", "finetune")
    ]
    panels = by_what_follows(lines_of(points))
    assert list(panels) == ["pruned, nothing else", "recovery=finetune"]
    labels = ["weight", "random granularity=unit", "random granularity=weight"]
    assert [[line.label for line in lines] for lines in panels.values()] == [labels, labels]
    assert [line.number for line in panels["recovery=finetune"]] == [0, 0, 1]


def test_the_best_points_of_a_method_with_several_lines_are_one_cloud():
    points = [group(sparsity=s, recovery=r) for r in ("none", "finetune") for s in (0.5, 0.9)]
    cloud, line = best_lines([*points, group("unit", sparsity=0.5), group("unit", sparsity=0.9)])
    assert (cloud.is_cloud, len(cloud.groups)) == (True, 4)
    assert (line.is_cloud, line.axis) == (False, "sparsity")


def test_points_of_a_search_are_a_cloud():
    points = [group("rvsm", **{"lambda": 0.01 * i, "beta": 0.1 + 0.01 * i}) for i in range(1, 4)]
    (line,) = lines_of(points)
    assert line.is_cloud


def test_a_method_without_axes_is_a_point():
    (line,) = lines_of([group()])
    assert (line.axis, line.is_cloud, len(line.groups)) == (None, False, 1)


def test_the_front_of_four_points():
    small, middle, worse, large = (group(accuracy=a, size=s) for a, s in ((0.5, 1), (0.8, 2), (0.7, 3), (0.9, 4)))
    front = pareto([large, worse, middle, small], lambda g: g.mean("size"), lambda g: g.mean("accuracy"))
    assert front == [small, middle, large]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_nothing_beats_the_front_and_the_front_beats_all_else(pairs):
    points = [group(accuracy=float(gain), size=float(cost), number=i) for i, (cost, gain) in enumerate(pairs)]
    front = pareto(points, lambda g: g.mean("size"), lambda g: g.mean("accuracy"))
    values = [(g.mean("size"), g.mean("accuracy")) for g in front]
    assert values == sorted(set(values))
    assert [gain for _, gain in values] == sorted({gain for _, gain in values})
    for cost, gain in pairs:
        assert any(c <= cost and g >= gain for c, g in values)
