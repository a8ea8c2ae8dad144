"""The files of a sweep beside its page: plan.csv, results.csv, failures.csv and the main pictures as PNG."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prune_core.files import write_atomically
from sweeps.config import Reference
from sweeps.redact import redact
from sweeps.reporting.results import Row
from sweeps.specs import BaselineSpec, Failure, Plan, Work, of_dense

TARGET = "target."
"""Prefix of axes in results.csv whose names are also metrics: target.sparsity is the requested value."""
_LAST_COLUMNS = ("cached", "trial.key", "baseline.key", "key", "run_id")


def write_files(
    folder: Path,
    plan: Plan,
    rows: Sequence[Row],
    failures: Sequence[Failure],
    run_ids: Mapping[str, str],
    reference: Reference | None = None,
) -> dict[str, Path]:
    """Write the report's files; returns {name: file}, ready as artifacts of the sweep's run.

    Args:
        folder: created if missing; files of an earlier report are replaced.
        plan: for plan.csv.
        rows, failures: how it went.
        run_ids: {key: MLflow run id} of what is delivered.
        reference: published points for the pictures.
    """
    from sweeps.reporting.main_pictures import write_pictures

    folder.mkdir(parents=True, exist_ok=True)
    tables = {"plan.csv": [_plan_record(work) for work in plan], "results.csv": _result_records(rows, run_ids)}
    if failures:
        tables["failures.csv"] = [_failure_record(failure) for failure in failures]
    for name, records in tables.items():
        _write_csv(folder / name, records)
    files = {name: folder / name for name in tables}
    return files | {picture.name: picture for picture in write_pictures(rows, folder, reference)}


def _plan_record(work: Work) -> dict[str, Any]:
    return {"kind": work.kind, **_cells(work.params), "key": work.key, "baseline.key": work.baseline.key}


def _result_records(rows: Sequence[Row], run_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    dense = {row.work.key: row.result.metrics for row in rows if isinstance(row.work, BaselineSpec)}
    return [
        {
            **_asked(_cells(row.work.params), row.result.metrics),
            **of_dense(dense.get(row.work.baseline.key, {})),  # results of earlier versions lack some of it
            **row.result.metrics,
            **row.result.timings,
            **{name: redact(text) for name, text in row.result.tags.items()},
            "cached": str(row.cached).lower(),
            "trial.key": row.work.key,
            "baseline.key": row.work.baseline.key,
            "run_id": run_ids.get(row.work.key, ""),
        }
        for row in rows
        if not isinstance(row.work, BaselineSpec)
    ]


def _failure_record(failure: Failure) -> dict[str, Any]:
    told = {"status": failure.status, "reason": redact(failure.reason), "attempts": failure.attempts}
    return {**_plan_record(failure.work), **told}


def _asked(params: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
    """The params by their columns: a requested and a measured value may have the same name, as sparsity does."""
    return {f"{TARGET}{name}" if name in metrics else name: value for name, value in params.items()}


def _cells(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, (list, tuple)) else value for name, value in params.items()}


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    # Columns keep the order in which records name them, params before metrics before keys.
    named = list(dict.fromkeys(name for record in records for name in record))
    columns = [name for name in named if name not in _LAST_COLUMNS] + [name for name in _LAST_COLUMNS if name in named]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, restval="")
    writer.writeheader()
    writer.writerows(records)
    write_atomically(path, table.getvalue())
