"""`report.html`: one self-contained file about one sweep, drawn from the store and the record of the sweep."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from prune_core.axes import GRANULARITIES
from prune_core.files import write_atomically
from prune_core.masks import load_masks
from sweeps.dataset_facts import facts_of
from sweeps.redact import as_yaml, redact
from sweeps.reporting.answers import ratio, size_and_speed, speed
from sweeps.reporting.comparisons import Comparison, comparisons_of
from sweeps.reporting.figures.by_layer import allocation_figure, sensitivity_figure
from sweeps.reporting.figures.comparison import knee_of, layers_figure, pareto_figure, values_figure
from sweeps.reporting.figures.curves import accuracy_figure
from sweeps.reporting.figures.time import time_figure
from sweeps.reporting.figures.trial import masks_figure, weights_figure
from sweeps.reporting.layer_tables import allocation_table, sensitivity_table
from sweeps.reporting.markup import details, page, picture, table, text
from sweeps.reporting.masked_size import masked_bytes
from sweeps.reporting.profile import profile_of
from sweeps.reporting.record import SweepRecord
from sweeps.reporting.results import Group, Row, choices
from sweeps.reporting.tables import (
    choice_table,
    delivered,
    failure_table,
    front_table,
    published_table,
    representatives,
    rvsm_table,
    speed_table,
    trials_table,
    warning_table,
)
from sweeps.specs import MASKS_FILE, MODEL_FILE, BaselineSpec, TrialSpec
from sweeps.store import ResultStore
from sweeps.tracking import DatasetRecord, dataset_record
from sweeps.trial import summary

PAGE_FILE = "report.html"
MOST_COMPARISONS_WITH_TRIALS = 6
"""Networks and datasets whose trials get pictures of their own, so that the page stays a few megabytes."""

MOST_OPEN = 3
"""Trials whose pictures are not folded away."""


def write_page(folder: Path, record: SweepRecord, rows: Sequence[Row], store: ResultStore) -> Path:
    """Draw the report of `rows` into `folder`; returns the file."""
    drawn = comparisons_of(rows, record.reference)
    parts = [
        _head(record, rows, drawn),
        *(_comparison(number, comparison, rows, store) for number, comparison in enumerate(drawn)),
        _trouble(record, rows),
        _time(record, rows),
        _how(record, rows),
    ]
    path = folder / PAGE_FILE
    write_atomically(path, page(f"{record.name} ({record.sweep_id})", "\n".join(parts)))
    return path


def _head(record: SweepRecord, rows: Sequence[Row], drawn: Sequence[Comparison]) -> str:
    trials = [row for row in rows if isinstance(row.work, TrialSpec)]
    dense = len(rows) - len(trials)
    ended = max((row.result.ended_at for row in rows), default=0.0)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ended)) if rows else "nothing is finished"
    work = sum(row.result.seconds for row in rows)
    seeds = sorted({row.work.seed for row in rows if isinstance(row.work, BaselineSpec)})
    facts = [
        (f"{len(trials)}", f"finished trials on {dense} dense network{'s' * (dense != 1)}"),
        (f"{len(record.failures)}", "without a result"),
        (f"{len(seeds)}", f"seed{'s' * (len(seeds) != 1)}: {', '.join(map(str, seeds))}"),
        (_duration(work), "of work in all"),
    ]
    links = [(f"comparison-{number}", comparison.title) for number, comparison in enumerate(drawn)]
    links += [("trouble", "failures and warnings"), ("time", "where the time went"), ("how", "how it was run")]
    anchors = [f'<a href="#{place}">{text(name)}</a>' for place, name in links]
    return (
        f"<h1>{text(record.name)}</h1><p class='soft'>sweep {text(record.sweep_id)} · {when}</p>"
        f"<nav>{''.join(anchors)}</nav>"
        f"{_tiles(facts)}{''.join(_best(comparison) for comparison in drawn)}"
    )


def _best(comparison: Comparison) -> str:
    """The result in one sentence."""
    (choice,) = choices(comparison.points, tolerances=(0.01,))
    group = choice.group
    if group is None:
        return f"<p><b>{text(comparison.title)}</b>: no pruned network stays within 1 point of dense on validation.</p>"
    drop = 100 * (group.mean("accuracy_drop") or 0)
    change = f"{abs(drop):.2f} points {'below' if drop > 0 else 'above'} dense" if abs(drop) >= 0.005 else "as dense"
    return (
        f"<p><b>{text(comparison.title)}</b>: {group.mean('compression_ratio') or 1:.1f} times smaller{speed(group)} "
        f"with {text(group.label)}, at {100 * (group.mean('accuracy') or 0):.2f} % on the test split, {change}.</p>"
    )


def _comparison(number: int, comparison: Comparison, rows: Sequence[Row], store: ResultStore) -> str:
    knee = knee_of(comparison.points, comparison.standard_error)
    told = "none, every pruned network loses more" if knee is None else knee.label
    parts = [
        f'<h2 id="comparison-{number}">{text(comparison.title)}</h2>',
        choice_table(comparison),
        _titled("Did it get smaller and faster?", size_and_speed(comparison)),
        _titled("How do I choose the ratio?", ratio(comparison)),
        *_by_layer(comparison),
        "<h3>Accuracy against what is saved</h3>",
        picture(
            accuracy_figure(comparison),
            f"Test accuracy of {comparison.title} against sparsity, compression ratio, multiplications and time",
            "Lines are means over seeds, bars their standard deviation."
            + " Stars: published by the source." * bool(comparison.published),
        ),
        _titled("Beside the source", published_table(comparison)),
        _titled("RVSM", rvsm_table(comparison)),
        "<h3>Pareto front</h3>",
        picture(
            pareto_figure(comparison),
            "Validation accuracy against size with the Pareto front",
            "Numbers: see its table.",
        ),
        details("the front as a table, by number", front_table(comparison)),
        "<h3>Layer by layer</h3>",
        "<p>The knee by rule, the smallest network whose validation accuracy is within one standard error of dense "
        f"({100 * comparison.standard_error:.2f} points): <b>{text(told)}</b>.</p>",
        picture(layers_figure(comparison), "Zeros and units left in every layer, along each method's axis"),
        _titled("Distinct values", picture(values_figure(comparison), "Test accuracy against distinct weight values")),
        "<h3>Size and speed</h3>",
        speed_table(comparison, lambda group: _with_zeros(group, rows, store)),
    ]
    if number < MOST_COMPARISONS_WITH_TRIALS:
        parts += ["<h3>Weights and masks</h3>", *_trials(comparison, rows, store)]
    parts.append(details(f"all {len(comparison.points)} grid points as a table", trials_table(comparison)))
    return "\n".join(filter(None, parts))


def _by_layer(comparison: Comparison) -> Iterator[str]:
    """The parts about single layers, of a sweep that prunes layers by different shares; of other sweeps nothing."""
    alone = picture(
        sensitivity_figure(comparison), "Test accuracy against what is removed of one layer, for every layer"
    )
    yield _titled("What each layer tolerates alone", alone + sensitivity_table(comparison))
    shares = picture(
        allocation_figure(comparison), "Test accuracy against weights left, with equal and with unequal shares"
    )
    yield _titled("How much each layer should lose", shares + allocation_table(comparison))


def _trials(comparison: Comparison, rows: Sequence[Row], store: ResultStore) -> Iterator[str]:
    """Pictures of one trial for each method: the first seed of its choice."""
    for number, group in enumerate(representatives(comparison)):
        row = _first_row(group, rows)
        if row is None or not isinstance(row.work, TrialSpec):
            continue
        folder = store.folder(row.work.key)
        seen = summary.load(folder / summary.SUMMARY_FILE)
        by_units = GRANULARITIES.get(row.work.parameters["granularity"]).scored_as == "unit"
        masks = masks_figure(load_masks(folder / MASKS_FILE), seen, _input_shape(row.work.baseline), by_units)
        name = f"{group.label}, seed {row.work.baseline.seed}"
        shown = picture(masks, f"Masks of {name}", dots=True)
        shown += picture(weights_figure(seen), f"Histograms of the weights of {name}, before and after")
        if shown:
            figures = row.result.metrics
            facts = f"{100 * figures['accuracy']:.2f} % on test, {100 * figures['sparsity']:.1f} % zeros"
            heading = f"{name}: {facts}, {delivered(group)}"
            shows = " open" if number < MOST_OPEN else ""
            yield f"<details{shows}><summary>{text(heading)}</summary>{shown}</details>"


def _with_zeros(group: Group, rows: Sequence[Row], store: ResultStore) -> float | None:
    """Bytes of the first seed's network before units were taken out or weights shared; None if that is not known."""
    row = _first_row(group, rows)
    if row is None or not isinstance(row.work, TrialSpec):
        return None
    if not (group.is_shrunk or group.mean("unique_values")):
        return group.mean("size_bytes")
    network = store.folder(row.work.baseline.key) / MODEL_FILE
    masks = load_masks(store.folder(row.work.key) / MASKS_FILE)
    return masked_bytes(network, row.result.metrics["size_bytes_baseline"], masks)


def _first_row(group: Group, rows: Sequence[Row]) -> Row | None:
    return next(
        (
            row
            for row in rows
            if isinstance(row.work, TrialSpec)
            and (row.work.method, row.work.axes) == (group.method, group.axes)
            and (row.work.baseline.model, row.work.baseline.dataset) == (group.model, group.dataset)
            and row.work.baseline.seed == group.seeds[0]
        ),
        None,
    )


def _input_shape(baseline: BaselineSpec) -> tuple[int, ...]:
    facts = facts_of(baseline)
    return facts.input_shape if facts else ()  # pictures that need the shape are then left out


def _trouble(record: SweepRecord, rows: Sequence[Row]) -> str:
    failed, warned = failure_table(record.failures), warning_table(rows)
    parts = ['<h2 id="trouble">Failures and warnings</h2>']
    parts.append(f'<div class="bad"><h3>Without a result</h3>{failed}</div>' if failed else "<p>Nothing failed.</p>")
    parts.append(_titled("Finished with a warning", warned) if warned else "<p>No warnings.</p>")
    return "\n".join(parts)


def _time(record: SweepRecord, rows: Sequence[Row]) -> str:
    """The time of the work of all runs of the sweep, and of the driver's phases in the last run."""
    lines = profile_of([replace(row, cached=False) for row in rows], record.phases)
    drawn = picture(time_figure(lines), "Seconds of every step of the work and of every phase of the driver")
    return f'<h2 id="time">Where the time went</h2>{drawn or "<p>Nothing has taken any.</p>"}'


def _how(record: SweepRecord, rows: Sequence[Row]) -> str:
    baselines = [row for row in rows if isinstance(row.work, BaselineSpec)]
    dense = [
        [f"{row.work.label}", f"{100 * row.result.metrics['accuracy']:.2f}", f"{row.result.seconds:.0f}", row.work.key]
        for row in baselines
    ]
    # One dataset may be there twice, as pixels and as fractions.
    data = dict.fromkeys(dataset_record(row.work) for row in baselines)  # type: ignore[arg-type]
    known = [[told.name, told.digest, _data(told)] for told in data]
    versions = [
        (name.removeprefix("version.").removeprefix("mlflow."), value)
        for name, value in sorted(record.provenance.items())
    ]
    seconds = [row.result.seconds for row in rows if isinstance(row.work, TrialSpec)]
    took = f" A trial took {_duration(fmean(seconds))} on average." if seconds else ""
    return "\n".join(
        [
            '<h2 id="how">How it was run</h2>',
            f"<p>Run the same command to resume: nothing is repeated, and this report is drawn again.{took}</p>",
            f"<pre>{text(redact(record.command))}</pre>",
            table(["dense network", "test acc. %", "seconds", "key"], dense),
            table(["data", "digest", "what it is"], known),
            "<p>" + " · ".join(f"{text(name)} <b>{text(value)}</b>" for name, value in versions) + "</p>",
            details("the whole configuration", f"<pre>{text(as_yaml(record.config))}</pre>"),
        ]
    )


def _data(told: DatasetRecord) -> str:
    """In words: "28 x 28 x 1, 10 classes, 3,600 train, 400 val, 1,000 test"."""
    known = json.loads(told.profile)
    if not known:
        return "not there any more"
    shape = " x ".join(map(str, known["input_shape"]))
    return ", ".join(
        [shape, f"{known['classes']} classes", *(f"{n:,} {split}" for split, n in known["samples"].items())]
    )


def _tiles(facts: Sequence[tuple[str, str]]) -> str:
    tiles = "".join(f'<div class="tile"><b>{text(value)}</b><span>{text(name)}</span></div>' for value, name in facts)
    return f'<div class="tiles">{tiles}</div>'


def _titled(title: str, content: str) -> str:
    return f"<h3>{text(title)}</h3>{content}" if content else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
