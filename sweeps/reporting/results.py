"""The results of a sweep: rows, groups over seeds, choices. Fed by the engine's events or by the store.

Choices are made on the validation split (`val_accuracy`) and reported on the test split (`accuracy`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from sweeps.specs import Failure, Result, TrialSpec, Work, describe_axes

TOLERANCES = (0.0, 0.005, 0.01, 0.02)
UNCHANGED = "as dense"
"""Speed of a network whose matrices have the dense one's shapes: any measured difference is noise."""


@dataclass(frozen=True)
class Row:
    """Finished work, as one row of a table."""

    work: Work
    result: Result
    cached: bool = False


@dataclass
class Collector:
    """A `sweeps.engine.events.Listener` that keeps what the report is made of."""

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
    def is_shrunk(self) -> bool:
        """Whether units were taken out, so that the matrices are smaller."""
        return _is_shrunk({name: self.mean(name) for name in self.metrics})

    @property
    def label(self) -> str:
        """The method and its point: "importance threshold=0.5"."""
        return f"{self.method} {describe_axes(self.axes)}".strip()


@dataclass(frozen=True)
class Choice:
    """The smallest network whose validation accuracy is at most `tolerance` below the dense one's, if there is any."""

    model: str
    dataset: str
    tolerance: float
    group: Group | None


def groups(rows: Iterable[Row]) -> list[Group]:
    """Trials with equal axes on equal networks and datasets, put together over seeds; in order of appearance."""
    rows = list(rows)
    dense = {row.work.key: row.result.metrics.get("val_accuracy") for row in rows if row.work.kind == "baseline"}
    members: dict[str, list[tuple[TrialSpec, Result]]] = {}
    for row in rows:
        if isinstance(row.work, TrialSpec):
            content = {**row.work.params, "seed": None}
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
        found = [row.result.metrics for row in trials if name in row.result.metrics]
        values = [metrics[name] for metrics in found if name != "speedup" or _is_shrunk(metrics)]
        if values:
            figures[f"best.{name}"] = max(values)
    for choice in choices(groups(rows)):
        ratio = choice.group.mean("compression_ratio") if choice.group else None
        if ratio is not None:
            name = f"best.compression_ratio_within_{100 * choice.tolerance:g}_points"
            figures[name] = max(ratio, figures.get(name, 0))
    return {name: float(value) for name, value in figures.items()}


def _is_shrunk(metrics: Mapping[str, float | None]) -> bool:
    return bool(metrics.get("sparsity")) and any(name.startswith("units.") for name in metrics)


def _within(group: Group, tolerance: float) -> bool:
    # Accuracies are counts over samples: equal ones may differ in the last bit.
    return group.val_drop is not None and group.val_drop <= tolerance + 1e-9
