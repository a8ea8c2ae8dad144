"""What a sweep comes to: rows, groups over seeds, choices, files. Fed by the engine's events or by the store.

Choices are made on the validation split (`val_accuracy`) and reported on the test split (`accuracy`).
As a command, `python sweeps/report.py sweep=latest` draws the page of a sweep again (see `sweeps.redraw`).
"""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

if not __package__:  # started as a file, whose folder comes first in the path and would hide other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sweeps.reference import Reference
from sweeps.run_content import baseline_of, params_of
from sweeps.specs import BaselineSpec, Failure, Plan, Result, TrialSpec, Work, format_value
from sweeps.store import ResultStore
from sweeps.tracking_uri import redact

TOLERANCES = (0.0, 0.005, 0.01, 0.02)
_LAST_COLUMNS = ("cached", "trial.key", "baseline.key", "key", "run_id")


@dataclass(frozen=True)
class Row:
    """Finished work, as one row of a table."""

    work: Work
    result: Result
    cached: bool = False


@dataclass
class Collector:
    """A `sweeps.events.Listener` that keeps what the report is made of."""

    rows: list[Row] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def started(self, work: Work) -> None:
        """Not of interest here."""

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        """Not of interest here."""

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        """Keep the row."""
        self.rows.append(Row(work, result, cached))

    def failed(self, failure: Failure) -> None:
        """Keep the failure."""
        self.failures.append(failure)


@dataclass(frozen=True)
class Group:
    """One grid point on one network and dataset, over all seeds.

    Attributes:
        method, axes, model, dataset: what the seeds share.
        seeds: in order.
        metrics: {name: its value for each seed that has it}.
        val_drop: mean loss of validation accuracy against the dense networks of the same seeds; None if unknown.
    """

    method: str
    axes: Mapping[str, Any]
    model: str
    dataset: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, Sequence[float]]
    val_drop: float | None

    def mean(self, metric: str) -> float | None:
        """Mean over the seeds; None if no seed has the metric."""
        values = self.metrics.get(metric)
        return fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Standard deviation over the seeds (n - 1); None with fewer than two."""
        values = self.metrics.get(metric, ())
        return stdev(values) if len(values) > 1 else None

    @property
    def label(self) -> str:
        """The method and its point: "importance threshold=0.5"."""
        return " ".join([self.method, *(f"{name}={format_value(value)}" for name, value in self.axes.items())])


@dataclass(frozen=True)
class Choice:
    """The smallest network whose validation accuracy is at most `tolerance` below the dense one's, if there is any."""

    model: str
    dataset: str
    tolerance: float
    group: Group | None


def rows_of_store(plan: Plan, store: ResultStore) -> list[Row]:
    """The rows of everything in the plan that is finished, e.g. to draw a report again."""
    return [Row(work, result, cached=True) for work in plan if (result := store.load(work.key))]


def groups(rows: Iterable[Row]) -> list[Group]:
    """Trials with equal axes on equal networks and datasets, put together over seeds; in order of appearance."""
    rows = list(rows)
    dense = {row.work.key: row.result.metrics.get("val_accuracy") for row in rows if row.work.kind == "baseline"}
    members: dict[str, list[tuple[TrialSpec, Result]]] = {}
    for row in rows:
        if isinstance(row.work, TrialSpec):
            content = {**params_of(row.work), "seed": None}
            members.setdefault(json.dumps(content, sort_keys=True, default=str), []).append((row.work, row.result))
    return [_group(trials, dense) for trials in members.values()]


def _group(trials: list[tuple[TrialSpec, Result]], dense: Mapping[str, float | None]) -> Group:
    trials = sorted(trials, key=lambda pair: pair[0].baseline.seed)
    first = trials[0][0]
    metrics: dict[str, list[float]] = {}
    drops = []
    for work, result in trials:
        for name, value in {**result.metrics, "seconds": result.seconds}.items():
            metrics.setdefault(name, []).append(value)
        before, after = dense.get(work.baseline.key), result.metrics.get("val_accuracy")
        if before is not None and after is not None:
            drops.append(before - after)
    return Group(
        method=first.method,
        axes=first.axes,
        model=first.baseline.model,
        dataset=first.baseline.dataset,
        seeds=tuple(work.baseline.seed for work, _ in trials),
        metrics=metrics,
        val_drop=fmean(drops) if len(drops) == len(trials) else None,
    )


def ranked(points: Iterable[Group], tolerance: float = 0.01) -> list[Group]:
    """Smallest first among those within `tolerance` of dense, then the others by validation accuracy."""

    def rank(group: Group) -> tuple[float, ...]:
        if _within(group, tolerance):
            return (0, -(group.mean("compression_ratio") or 0), -(group.mean("val_accuracy") or 0))
        return (1, -(group.mean("val_accuracy") or 0), -(group.mean("compression_ratio") or 0))

    return sorted(points, key=rank)


def choices(points: Sequence[Group], tolerances: Sequence[float] = TOLERANCES) -> list[Choice]:
    """For every network and dataset, the smallest pruned network within each tolerance of dense."""
    found = []
    for model, dataset in dict.fromkeys((group.model, group.dataset) for group in points):
        here = [group for group in points if (group.model, group.dataset) == (model, dataset)]
        for tolerance in tolerances:
            good = [g for g in here if _within(g, tolerance) and (g.mean("compression_ratio") or 0) > 1]
            best = max(good, key=lambda g: (g.mean("compression_ratio"), g.mean("val_accuracy")), default=None)
            found.append(Choice(model, dataset, tolerance, best))
    return found


def aggregates(rows: Sequence[Row], failures: Sequence[Failure], seconds: float) -> dict[str, float]:
    """Figures of the whole sweep, for its own run in MLflow; `seconds` is its wall time."""
    trials = [row for row in rows if row.work.kind == "trial"]
    figures = {
        "trials": len(trials),
        "baselines": len(rows) - len(trials),
        "failed": sum(failure.status != "blocked" for failure in failures),
        "blocked": sum(failure.status == "blocked" for failure in failures),
        "cached": sum(row.cached for row in rows),
        "seconds": seconds,
        "seconds_of_work": sum(row.result.seconds for row in rows if not row.cached),
    }
    for name in ("accuracy", "val_accuracy", "sparsity", "compression_ratio", "speedup"):
        values = [row.result.metrics[name] for row in trials if name in row.result.metrics]
        if values:
            figures[f"best.{name}"] = max(values)
    for choice in choices(groups(rows)):
        ratio = choice.group.mean("compression_ratio") if choice.group else None
        if ratio is not None:
            name = f"best.compression_ratio_within_{100 * choice.tolerance:g}_points"
            figures[name] = max(ratio, figures.get(name, 0))
    return {name: float(value) for name, value in figures.items()}


def write(
    folder: Path,
    plan: Plan,
    rows: Sequence[Row],
    failures: Sequence[Failure],
    run_ids: Mapping[str, str],
    reference: Reference | None = None,
) -> dict[str, Path]:
    """Write the report's files; returns {name: file}, ready as artifacts of the sweep's run.

    Args:
        folder: made if need be; files of an earlier report are replaced.
        plan: for plan.csv.
        rows, failures: how it went.
        run_ids: {key: MLflow run id}, as far as delivered.
        reference: published points for the pictures.
    """
    from sweeps.curves import accuracy_curves

    folder.mkdir(parents=True, exist_ok=True)
    tables = {"plan.csv": [_plan_record(work) for work in plan], "results.csv": _result_records(rows, run_ids)}
    if failures:
        tables["failures.csv"] = [_failure_record(failure) for failure in failures]
    for name, records in tables.items():
        _write_csv(folder / name, records)
    files = {name: folder / name for name in tables}
    return files | {picture.name: picture for picture in accuracy_curves(rows, folder, reference)}


def _within(group: Group, tolerance: float) -> bool:
    # Accuracies are counts over samples: equal ones may differ in the last bit.
    return group.val_drop is not None and group.val_drop <= tolerance + 1e-9


def _plan_record(work: Work) -> dict[str, Any]:
    return {"kind": work.kind, **_cells(params_of(work)), "key": work.key, "baseline.key": baseline_of(work).key}


def _result_records(rows: Sequence[Row], run_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            **_cells(params_of(row.work)),
            **row.result.metrics,
            "seconds": row.result.seconds,
            **{name: redact(text) for name, text in row.result.tags.items()},
            "cached": str(row.cached).lower(),
            "trial.key": row.work.key,
            "baseline.key": baseline_of(row.work).key,
            "run_id": run_ids.get(row.work.key, ""),
        }
        for row in rows
        if not isinstance(row.work, BaselineSpec)
    ]


def _failure_record(failure: Failure) -> dict[str, Any]:
    told = {"status": failure.status, "reason": redact(failure.reason), "attempts": failure.attempts}
    return {**_plan_record(failure.work), **told}


def _cells(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, (list, tuple)) else value for name, value in params.items()}


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    # Columns keep the order in which records name them, params before metrics before keys.
    named = list(dict.fromkeys(name for record in records for name in record))
    columns = [name for name in named if name not in _LAST_COLUMNS] + [name for name in _LAST_COLUMNS if name in named]
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(records)
    part.replace(path)


if __name__ == "__main__":
    from sweeps.redraw import main

    sys.exit(main())
