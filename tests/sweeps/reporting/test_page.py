"""report.html from fabricated results that lie in a real store: what is said, and that nothing is fetched."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from prune_core import save_masks
from prune_core.errors import UserError
from sweeps import report
from sweeps.config import Reference
from sweeps.reporting.comparisons import comparisons_of
from sweeps.reporting.figures.comparison import knee_of
from sweeps.reporting.page import write_page
from sweeps.reporting.record import FailureNote, SweepRecord, load_record, rows_of, save_record, work_of
from sweeps.reporting.results import Row, groups
from sweeps.reporting.tables import choice_table, published_table, representatives
from sweeps.specs import Result, Work
from sweeps.store import ResultStore
from sweeps.trial import summary
from tests.helpers.sweep_fixtures import baseline, metrics_of, result_of, trial

ROOT = Path(__file__).parents[3]
SPARSITIES = (0.5, 0.8, 0.9)
REFERENCE = {
    "source": "a notebook",
    "dataset": "digits",
    "model": "lenet_300_100",
    "dense": {"accuracy": 0.9},
    "points": [
        {"method": "weight", "axes": {"sparsity": 0.5}, "metrics": {"accuracy": 0.91, "sparsity": 0.5}},
        {"method": "weight", "axes": {"sparsity": 0.1}, "metrics": {"accuracy": 0.93, "unique_values": 7}},
    ],
}


def committed(store: ResultStore, work: Work, result: Result) -> Row:
    """A result whose files a page can draw."""
    generator = np.random.default_rng(0)
    with store.writing(work.key) as folder:
        if work.kind == "trial":
            kept = generator.random((64, 12)) > 0.5
            kernel = generator.normal(size=kept.shape)
            save_masks(folder / "masks.npz", {"dense_1/kernel": kept})
            relevance = {"input_relevance": generator.random((8, 8, 1))}
            summary.save(
                folder / summary.SUMMARY_FILE, {"dense_1": kernel}, {"dense_1": kernel * kept}, relevance, np.eye(8)
            )
        return Row(work, store.commit(folder, result))


def sweep(store: ResultStore, name: str = "weight") -> list[Row]:
    """Two seeds, three sparsities, of which the first loses nothing."""
    store.prepare()
    rows = []
    for seed in (0, 1):
        base = baseline(seed)
        rows.append(committed(store, base, result_of(base)))
        for sparsity, accuracy in zip(SPARSITIES, (0.95, 0.93, 0.5), strict=True):
            work = replace(trial(base, name, sparsity=sparsity), parameters={"granularity": "weight"})
            metrics = {**metrics_of(work, accuracy + 0.002 * seed, sparsity), "compression_ratio": 1 / (1 - sparsity)}
            metrics |= {"unique_values": 40 * sparsity, "sparsity.dense_2": 0.1, "units.dense_1": 300 * (1 - sparsity)}
            rows.append(committed(store, work, result_of(work, metrics)))
    return rows


def record_of(rows: list[Row], **changes: object) -> SweepRecord:
    record = SweepRecord(
        sweep_id="0123456789ab",
        name="a sweep",
        command="python sweeps/run.py method=weight tracking.uri=http://me:hunter2@host",
        keys=tuple(row.work.key for row in rows),
        config={"seeds": [0, 1], "tracking": {"uri": "http://me:hunter2@host"}, "reference": REFERENCE},
        provenance={"version.keras": "3"},
    )
    return replace(record, **changes)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("root")
    store = ResultStore(root)
    rows = sweep(store)
    odd = replace(rows[1], result=replace(rows[1].result, tags={"warning": "nothing was pruned; <b>dead</b>"}))
    failures = (FailureNote("weight sparsity=0.99", "failed", "ValueError: <script>alert(1)</script>"),)
    record = record_of(rows, failures=failures)
    return write_page(root, record, [rows[0], odd, *rows[2:]], store).read_text()


class Tags(HTMLParser):
    """Collects what a page would fetch, and whether what is opened is closed."""

    VOID = ("meta", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.fetched += [attrs[name] for name in ("src", "href") if attrs.get(name)]
        if tag == "img":
            self.images.append(attrs["alt"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_from_anywhere(drawn):
    tags = Tags()
    tags.feed(drawn)
    assert tags.open == []
    assert all(target.startswith(("data:image/", "#")) for target in tags.fetched)
    assert not re.search(r"@import|url\(", drawn.partition("</style>")[0])
    for part in ("Test accuracy", "distinct", "every layer", "Pareto", "Masks of weight sparsity=0.5", "Histograms"):
        assert any(part in told for told in tags.images), (part, tags.images)


def test_files_of_ones_own_are_named():
    base = baseline()
    mine = replace(base, model="keras_file", model_config={"path": "/home/me/mine.keras"})
    work = replace(trial(base), baseline=mine)
    (comparison,) = comparisons_of([Row(mine, result_of(mine)), Row(work, result_of(work))])
    assert comparison.title == "keras_file (mine.keras) on digits"


def test_stars_are_explained_where_there_are_some(drawn, tmp_path):
    assert "Stars: published by the source" in drawn
    store = ResultStore(tmp_path)
    rows = sweep(store)
    page = write_page(tmp_path, record_of(rows, config={"seeds": [0, 1]}), rows, store)
    assert "Stars: " not in page.read_text()


def test_links_lead_to_places_on_the_page(drawn):
    for place in re.findall(r'href="#([^"]+)"', drawn):
        assert f'id="{place}"' in drawn


def test_what_others_wrote_is_text(drawn):
    assert "<script>alert(1)" not in drawn
    assert "&lt;script&gt;alert(1)" in drawn
    assert "<b>dead</b>" not in drawn


def test_trouble_and_origin_are_told(drawn):
    for told in ("weight sparsity=0.99", "nothing was pruned", "python sweeps/run.py method=weight", "keras"):
        assert told in drawn
    assert "hunter2" not in drawn


def test_an_empty_sweep_has_a_page(tmp_path):
    store = ResultStore(tmp_path)
    page = write_page(tmp_path, record_of([]), [], store).read_text()
    assert "nothing is finished" in page


def test_baselines_alone_have_a_page(tmp_path):
    store = ResultStore(tmp_path)
    rows = sweep(store)[:1]
    assert "lenet_300_100" in write_page(tmp_path, record_of(rows), rows, store).read_text()


def test_published_numbers_stand_beside_ours(tmp_path):
    (comparison,) = comparisons_of(sweep(ResultStore(tmp_path)), Reference.read(REFERENCE))
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in published_table(comparison).split("<tr>")[2:]]
    # 0.950 and 0.952 with two seeds; the sparsity was asked for and is not a result.
    assert rows == [
        ["dense", "accuracy", "90.00", "95.00", "+5.00", "dense"],
        ["weight sparsity=0.5", "accuracy", "91.00", "95.10 ± 0.14", "+4.10", "weight sparsity=0.5"],
        ["weight sparsity=0.1", "accuracy", "93.00", "", "", "not in this sweep"],
        ["weight sparsity=0.1", "unique_values", "7", "", "", "not in this sweep"],
    ]


def test_published_numbers_do_not_stand_beside_other_networks(tmp_path):
    other = Reference.read({**REFERENCE, "model": "lenet_5"})
    (comparison,) = comparisons_of(sweep(ResultStore(tmp_path)), other)
    assert comparison.published == ()
    assert published_table(comparison) == ""


def test_the_knee_is_the_smallest_within_its_tolerance_and_the_choice_the_smallest_within_a_point(tmp_path):
    rows = sweep(ResultStore(tmp_path))
    (comparison,) = comparisons_of(rows)
    assert knee_of(groups(rows), 0.0).axes == {"sparsity": 0.5}  # validation .941 against .94
    assert knee_of(groups(rows), 0.02).axes == {"sparsity": 0.8}
    assert knee_of([group for group in groups(rows) if group.axes == {"sparsity": 0.8}], 0.0) is None
    assert comparison.standard_error == pytest.approx((0.94 * 0.06 / comparison.val_samples) ** 0.5)
    assert comparison.val_samples == 144  # a tenth of the 1,438 samples that digits are trained with
    (chosen,) = representatives(comparison)
    assert chosen.axes == {"sparsity": 0.5}
    assert choice_table(comparison).count("weight sparsity=0.5") == 3
    assert choice_table(comparison).count("weight sparsity=0.8") == 2
    assert re.search("<td>2 points, the knee</td><td>weight sparsity=0.8</td>", choice_table(comparison))


def test_a_record_is_read_back_and_its_work_rebuilt(tmp_path):
    store = ResultStore(tmp_path)
    rows = sweep(store)
    folder = tmp_path / "sweeps" / "0123456789ab"
    record = record_of(rows, failures=(FailureNote("a", "lost", "b"),), cached=(rows[0].work.key,))
    save_record(folder, record)
    assert "hunter2" not in (folder / "sweep.json").read_text()
    for sweep_name in ("latest", "0123456789ab", "0123"):
        again = load_record(tmp_path, sweep_name)
        assert replace(again, config=record.config, command=record.command) == record
    found = rows_of(again, store)
    assert [row.work.label for row in found] == [row.work.label for row in rows]
    assert [work_of(row.result) for row in found] == [row.work for row in rows]
    assert [row.cached for row in found] == [True, *[False] * 7]


@pytest.mark.parametrize("asked", ["", "zz", "latest"])
def test_a_sweep_that_is_not_there_is_refused(tmp_path, asked):
    if asked != "latest":
        save_record(tmp_path / "sweeps" / "0123456789ab", record_of([]))
    with pytest.raises(UserError, match="sweep"):
        load_record(tmp_path, asked)


def test_a_damaged_record_is_refused(tmp_path):
    path = save_record(tmp_path / "sweeps" / "0123456789ab", record_of([]))
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError, match="is damaged"):
        load_record(tmp_path, "latest")


def test_the_command_draws_it_again_and_refuses_in_one_sentence(tmp_path):
    rows = sweep(ResultStore(tmp_path))
    save_record(tmp_path / "sweeps" / "0123456789ab", record_of(rows))
    command = [sys.executable, "sweeps/report.py", "sweep=latest", f"storage.root={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    page = tmp_path / "sweeps" / "0123456789ab" / "report.html"
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(page), "")
    assert page.is_file()
    assert (page.parent / "accuracy_vs_sparsity.png").is_file()


def test_a_record_keeps_the_overrides_without_passwords_and_older_ones_take_them_from_the_command(tmp_path):
    asked = ("method=unit", "datasets.npz.path='/my data.npz'", "tracking.uri=http://me:secret@host")
    told = (*asked[:2], "tracking.uri=http://***@host")
    folder = tmp_path / "sweeps" / "0123456789ab"
    command = shlex.join(["python", "sweeps/run.py", *asked])
    file = save_record(folder, replace(record_of([]), overrides=asked, command=command))
    assert "secret" not in file.read_text()
    assert load_record(tmp_path, "latest").overrides == told
    content = json.loads(file.read_text())
    del content["overrides"]
    file.write_text(json.dumps(content))
    assert load_record(tmp_path, "latest").overrides == told


def test_the_folder_of_a_sweep_names_it(tmp_path, capsys):
    rows = sweep(ResultStore(tmp_path))
    folder = tmp_path / "sweeps" / "0123456789ab"
    save_record(folder, record_of(rows))
    assert report.main([f"sweep={folder}", "format=markdown"]) == 0
    assert "**lenet_300_100 on digits**, seeds 0, 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["sweeps=1"], "sweeps"), (["sweep"], "sweep"), (["sweep=zz", "storage.root=/nowhere"], "/nowhere")],
)
def test_a_bad_request_is_one_sentence(capsys, arguments, named):
    assert report.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert named in told
    assert told.count("\n") == 1
