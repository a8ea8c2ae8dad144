"""The tables of a sweep as Markdown."""

from pathlib import Path

import pytest

from sweeps.report import main
from sweeps.reporting.markdown import as_markdown, markdown_of
from sweeps.reporting.markup import number, table
from sweeps.reporting.record import SweepRecord
from sweeps.reporting.results import Row
from tests.helpers.sweep_fixtures import baseline, metrics_of, result_of, trial

REFERENCE = {
    "source": "a notebook",
    "dataset": "digits",
    "model": "lenet_300_100",
    "points": [{"method": "weight", "axes": {"sparsity": 0.5}, "metrics": {"accuracy": 0.91}}],
}
COMMAND = "python sweeps/run.py method=weight storage.root=/mine compute.num_cpus=1 'seeds=[0,1]'"


def test_a_table_keeps_its_cells_and_sets_numbers_to_the_right() -> None:
    rows = [["<b> | & more", number(1.5, "{:.1f}", 0.25)], ["", number(None)]]
    html = table(["what", "how much"], rows, "Told & said.")
    assert markdown_of(html).splitlines() == [
        "Told & said.",
        "",
        "| what | how much |",
        "| --- | ---: |",
        "| <b> \\| & more | 1.5 ± 0.2 |",
        "|  |  |",
    ]


def test_a_sweep_says_what_was_run_what_was_published_and_what_came_out() -> None:
    rows = []
    for seed in (0, 1):
        base = baseline(seed)
        work = trial(base, "weight", sparsity=0.5)
        rows += [Row(base, result_of(base)), Row(work, result_of(work, metrics_of(work, 0.9 + 0.02 * seed, 0.5)))]
    record = SweepRecord("0123456789ab", "a sweep", COMMAND, (), {"reference": REFERENCE}, {})
    lines = as_markdown(record, rows).splitlines()
    assert lines[0] == "`python sweeps/run.py method=weight 'seeds=[0,1]'`"
    assert lines[2] == "**lenet_300_100 on digits**, seeds 0, 1"
    assert "| weight sparsity=0.5 | accuracy | 91.00 | 91.00 ± 1.41 | +0.00 | weight sparsity=0.5 |" in lines
    assert any(line.startswith("| may lose | method |") for line in lines)


def test_another_format_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["format=pdf", f"storage.root={tmp_path}"]) == 2
    assert "format='pdf' is not one of its values: known: html, markdown" in capsys.readouterr().err


def test_a_spread_has_no_sign() -> None:
    assert number(0.5, "{:+.2f}", 0.25).text == "+0.50 ± 0.25"
