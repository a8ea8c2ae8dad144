"""Tables, choices and pictures of fabricated sweeps whose answers a reader can check by hand."""

import csv
import io
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from rich.console import Console

from sweeps import ui
from sweeps.redact import redact
from sweeps.reporting.files import write_files
from sweeps.reporting.markup import number
from sweeps.reporting.results import Collector, Row, aggregates, choices, groups, ranked
from sweeps.specs import Failure, TrialSpec
from sweeps.terminal import closing
from sweeps.tracking import Place, Target, trials_link, ui_base, ui_command
from tests.helpers.sweep_fixtures import baseline, grid, metrics_of, plan_of, result_of, trial

# (sparsity asked for, validation accuracy, compression ratio); dense has a validation accuracy of 0.94
POINTS = ((0.5, 0.94, 2.0), (0.8, 0.93, 5.0), (0.9, 0.90, 10.0))


def row(work: TrialSpec, val_accuracy: float, ratio: float) -> Row:
    metrics = {
        **metrics_of(work, accuracy=val_accuracy + 0.01),
        "val_accuracy": val_accuracy,
        "compression_ratio": ratio,
    }
    return Row(work, result_of(work, metrics))


def sweep(seeds: tuple[int, ...] = (0,)) -> list[Row]:
    """One method at three sparsities; every further seed is 0.002 worse."""
    rows = []
    for seed in seeds:
        base = baseline(seed)
        rows.append(Row(base, result_of(base)))
        rows += [row(trial(base, "weight", sparsity=s), val - 0.002 * seed, ratio) for s, val, ratio in POINTS]
    return rows


def test_seeds_are_put_together():
    found = groups(sweep(seeds=(1, 0)))
    assert [group.axes["sparsity"] for group in found] == [0.5, 0.8, 0.9]
    assert found[0].seeds == (0, 1)
    assert found[0].mean("val_accuracy") == pytest.approx(0.939)
    assert found[0].spread("val_accuracy") == pytest.approx(0.002 / 2**0.5)
    assert found[0].val_drop == pytest.approx(0.001)


def test_one_seed_has_no_spread_and_an_unknown_metric_no_mean():
    group = groups(sweep())[0]
    assert group.spread("accuracy") is None
    assert group.mean("no_such_metric") is None


def test_the_smallest_network_within_each_tolerance_is_chosen():
    found = choices(groups(sweep()), tolerances=(0.0, 0.005, 0.01, 0.05))
    assert [choice.group.axes["sparsity"] for choice in found if choice.group] == [0.5, 0.5, 0.8, 0.9]


def test_choices_look_at_validation_and_not_at_test_accuracy():
    base = baseline()
    good_on_test = row(trial(base, sparsity=0.9), 0.5, 10.0)
    lucky = Row(good_on_test.work, result_of(good_on_test.work, {**good_on_test.result.metrics, "accuracy": 1.0}))
    found = choices(groups([Row(base, result_of(base)), lucky]))
    assert [choice.group for choice in found] == [None] * 4


def test_nothing_is_chosen_when_the_dense_network_is_unknown():
    assert {choice.group for choice in choices(groups(sweep()[1:]))} == {None}


def test_the_smallest_good_one_comes_first_and_the_bad_ones_last():
    assert [group.axes["sparsity"] for group in ranked(groups(sweep()))] == [0.8, 0.5, 0.9]


def test_figures_of_the_sweep():
    rows = sweep()
    failures = [Failure(rows[1].work, "failed", "x"), Failure(rows[2].work, "blocked", "x")]
    figures = aggregates([*rows[:2], Row(rows[2].work, rows[2].result, cached=True), rows[3]], failures, seconds=9.0)
    assert (figures["trials"], figures["baselines"], figures["cached"]) == (3, 1, 1)
    assert (figures["failed"], figures["blocked"]) == (1, 1)
    assert (figures["seconds"], figures["seconds_of_work"]) == (9, pytest.approx(6))
    assert figures["best.val_accuracy"] == 0.94
    assert figures["best.compression_ratio_within_1_points"] == 5


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_report(tmp_path):
    base = baseline()
    other = baseline(dataset="mnist_5k")
    plan = plan_of(trial(base, "weight", sparsity=0.6), trial(other, "cluster", n_clusters=[4, 2]))
    rows = [Row(work, result_of(work)) for work in plan]
    failures = [Failure(plan.trials[0], "failed", "ValueError: at http://me:hunter2@host")]
    files = write_files(tmp_path / "report", plan, rows, failures, {plan.trials[0].key: "run0"})
    drawn = ("accuracy_vs_sparsity", "pareto_front")
    pictures = [f"{name}_lenet_300_100_{data}.png" for name in drawn for data in ("digits", "mnist_5k")]
    assert sorted(files) == sorted(["results.csv", "plan.csv", "failures.csv", *pictures])
    assert all(files[name].read_bytes().startswith(b"\x89PNG") for name in pictures)
    first, second = read(files["results.csv"])
    assert (first["method"], first["sparsity"], first["run_id"]) == ("weight", "0.5", "run0")
    assert (first["target.sparsity"], second["target.sparsity"]) == ("0.6", "")
    assert (second["n_clusters"], second["run_id"]) == ("[4, 2]", "")
    assert float(first["accuracy"]) == 0.9
    assert (first["val_accuracy_baseline"], first["loss_baseline"]) == ("0.94", "0.1")
    assert [record["kind"] for record in read(files["plan.csv"])] == ["baseline", "baseline", "trial", "trial"]
    assert read(files["failures.csv"])[0]["reason"] == "ValueError: at http://***@host"


def test_a_sweep_without_any_result_still_has_its_files(tmp_path):
    files = write_files(tmp_path, grid(2), [], [], {})
    assert set(files) == {"results.csv", "plan.csv"}


def shown(rows: list[Row], failures: list[Failure], waiting: int = 0, width: int = 120) -> str:
    target = Target("sqlite:////data/mlflow.db", "prune-sweep", None)
    out = io.StringIO()
    console = Console(file=out, width=width)
    place = Place(target, "7", "parent")
    closing.show_end(console, grid(1), rows, failures, place, target, Path("/data/sweeps/x"), waiting)
    return out.getvalue()


def test_the_end_of_a_sweep_names_the_best_the_failed_and_the_way_to_look():
    failures = [Failure(trial(baseline()), "blocked", "its baseline failed"), Failure(baseline(), "failed", "NaN loss")]
    text = shown(sweep(seeds=(0, 1)), failures, waiting=3)
    best = next(line for line in text.splitlines() if "weight sparsity" in line)
    assert best.split()[1:7] == ["sparsity=0.5", "0,1", "93.90±0.14", "94.90±0.14", "+0.10", "50.0"]
    assert best.split()[7:] == ["2.0x", "as", "dense"]
    assert text.index("NaN loss") < text.index("its baseline failed")
    assert "3 deliveries to sqlite:////data/mlflow.db wait on disk" in text
    assert "look at it: make ui" in text
    assert "http://127.0.0.1:5000/#/experiments/7/runs?searchFilter=" in text


def with_units(found: Row, sparsity: float) -> Row:
    """The row of a network whose units were removed, if there were any to remove."""
    metrics = {**found.result.metrics, "sparsity": sparsity, "units.dense_1": 300 * (1 - sparsity)}
    return Row(found.work, result_of(found.work, metrics))


def test_only_of_networks_with_smaller_matrices_a_speed_is_told():
    base, zeros = sweep()[:2]
    shrunk = with_units(row(trial(base.work, "unit", sparsity=0.5), 0.93, 3.0), 0.5)
    whole = with_units(row(trial(base.work, "unit", sparsity=0.0), 0.94, 1.0), 0.0)
    assert [group.is_shrunk for group in groups([zeros, shrunk, whole])] == [False, True, False]
    lines = [line.split() for line in shown([base, zeros, shrunk, whole], []).splitlines()]
    ends = {" ".join(line[:2]): line[-1] for line in lines if line and line[0] in ("unit", "weight")}
    assert ends == {"weight sparsity=0.5": "dense", "unit sparsity=0.5": "2.0x", "unit sparsity=0": "dense"}
    assert "best.speedup" not in aggregates([base, zeros, whole], [], 1.0)
    assert aggregates([base, zeros, shrunk], [], 1.0)["best.speedup"] == 2.0


@pytest.mark.parametrize("width", [80, 100, 108, 120])
def test_methods_are_readable_on_a_terminal_of_any_usual_width(width):
    rows = [Row(base, result_of(base)) for base in map(baseline, (0, 1))]
    rows += [
        row(trial(dense.work, "weight", sparsity=0.5, recovery="finetune"), 0.94 - 0.01 * seed, 12.0)
        for seed, dense in enumerate(rows)
    ]
    _, *lines = shown(rows, [], width=width).splitlines()  # the first is of the dense network, and no table
    assert max(len(line) for line in lines if "http" not in line) <= width
    assert sum("weight sparsity=0.5" in line for line in lines) == 4  # among the trials, and at three tolerances
    assert sum(line.rstrip().endswith("12.0x  as dense") for line in lines) == 4


@pytest.mark.parametrize(
    ("width", "told"), [(80, "weight sparsity=0.5, mnist_5k"), (140, "weight sparsity=0.5  mnist_5k")]
)
def test_several_networks_are_told_apart_beside_the_method_or_below_it(width, told):
    rows = [Row(base, result_of(base)) for base in (baseline(), baseline(dataset="mnist_5k"))]
    rows += [row(trial(dense.work, "weight", sparsity=0.5), 0.94, 12.0) for dense in rows]
    text = shown(rows, [], width=width)
    assert sum(" ".join(told.split()) in " ".join(line.split()) for line in text.splitlines()) == 5


def test_nothing_lost_is_not_less_than_nothing():
    base = baseline()
    odd = row(trial(base, "weight", sparsity=0.5), 0.94, 2.0)
    metrics = {**odd.result.metrics, "accuracy_drop": -1e-9}
    assert " +0.00 " in shown([Row(base, result_of(base)), Row(odd.work, result_of(odd.work, metrics))], [])
    assert number(-1e-9, "{:+.2f}").text == "+0.00"
    assert number(-0.004, "{:,.0f}").text == "0"
    assert number(-20.0, "{:+.0f}").text == "-20"


def test_a_long_sweep_shows_its_best_and_says_how_many_are_left_out():
    base = baseline()
    many = [row(trial(base, sparsity=0.01 * i), 0.9, 1 + i) for i in range(40)]
    assert "and 28 more in results.csv" in shown(many, [])


def test_brackets_in_an_error_are_text():
    work = trial(baseline(), layers="[red]")
    text = shown([row(work, 0.9, 2.0)], [Failure(work, "failed", "[bold] is bad")])
    assert text.count("layers=[red]") == 2
    assert "[bold] is bad" in text


def test_links_are_encoded_and_free_of_passwords():
    target = Target("https://me:hunter2@mlflow.example:8443/base/", "prune-sweep", None)
    link = trials_link(ui_base(target), "7", "abc")
    assert link.startswith("https://mlflow.example:8443/base/#/experiments/7/runs?searchFilter=tags.%60sweep.id%60")
    assert "tags.`sweep.id` = 'abc' and tags.`kind` = 'trial'" in unquote(link)
    assert ui_command(target, target) is None
    assert redact(target.uri) == "https://***@mlflow.example:8443/base/"


def test_the_ui_refuses_a_busy_port_and_a_place_without_results(tmp_path, capsys):
    assert ui.main(["--root", str(tmp_path / "nothing")]) == 2
    assert "run a sweep first" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (tmp_path / "mlflow.db").touch()
        port = listener.getsockname()[1]
        assert ui.main(["--root", str(tmp_path), "--port", str(port)]) == 2
    assert f"port {port} cannot be used (Address already in use)" in capsys.readouterr().err


def test_the_tracker_and_the_report_cost_nothing_at_plan_time():
    heavy = "{'mlflow', 'matplotlib', 'tensorflow', 'pandas', 'ray'}"
    ours = "sweeps.tracking.tracker, sweeps.reporting.redraw, sweeps.terminal.closing, sweeps.ui"
    code = f"import sys, {ours}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_collector_keeps_what_it_hears():
    collector, failure = Collector(), Failure(baseline(), "failed", "x")
    collector.finished(baseline(), result_of(baseline()), cached=True)
    collector.failed(failure)
    assert [row.cached for row in collector.rows] == [True]
    assert collector.failures == [failure]
