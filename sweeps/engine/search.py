"""The points of one `SearchSpec`: those proposed by earlier runs first, then those to start with, then Optuna's."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prune_core.files import append, make_folder, write_atomically
from sweeps.json_text import parse
from sweeps.plan import in_range, trial_of
from sweeps.specs import SearchSpec, TrialSpec

log = logging.getLogger(__name__)

Metrics = Mapping[str, float]


class PointSource:
    """Proposes the trials of one search and learns from their metrics.

    Every point is written to `record` before it is handed out, so that a later run of the same sweep proposes the same
    points again, in the same order, before Optuna proposes new ones. A damaged line loses only its own point.

    Args:
        search: what to search.
        record: JSON-lines file of the points proposed so far, one {axis: value} a line.
    """

    def __init__(self, search: SearchSpec, record: Path) -> None:
        self.search = search
        self._record = record
        self._points, self._damaged = _read_points(record, search)
        self._proposed = 0
        self._told: dict[int, Metrics | None] = {}
        self._study: _Study | None = None

    @property
    def remaining(self) -> int:
        """Points not yet proposed."""
        return self.search.n_trials - self._proposed

    @property
    def exhausted(self) -> bool:
        """Whether all points have been proposed."""
        return self.remaining <= 0

    @property
    def knows_next(self) -> bool:
        """Whether the next point is in the record, so that proposing it costs nothing."""
        return not self.exhausted and self._proposed < len(self._points)

    def propose(self) -> tuple[int, TrialSpec]:
        """(number of the point, its trial). Call only while not `exhausted`."""
        number = self._proposed
        if not self.knows_next:
            self._points.append(self._optuna().propose(number))
            self._write_last()
        self._proposed += 1
        return number, trial_of(self.search, self._points[number])

    def tell(self, number: int, metrics: Metrics | None) -> None:
        """Take in the metrics of a point; None if its trial failed. A failed point counts as a point as well."""
        self._told[number] = metrics
        if self._study is not None:
            self._study.tell(number, metrics)

    def _optuna(self) -> "_Study":
        if self._study is None:
            self._study = _Study(self.search, self._points)
            for number in range(len(self._points)):
                self._study.propose(number)
                if number in self._told:
                    self._study.tell(number, self._told[number])
        return self._study

    def _write_last(self) -> None:
        """Add the last point to the record, or write the record again if a line of it is not a point."""
        make_folder(self._record.parent)
        if self._damaged:
            write_atomically(self._record, b"".join(map(_line, self._points)))
            self._damaged = False
        else:
            append(self._record, _line(self._points[-1]))


class _Study:
    """Ray Tune's Optuna searcher; a point is proposed, and its metrics are told, by its number."""

    def __init__(self, search: SearchSpec, known: Sequence[Mapping[str, Any]]) -> None:
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._objectives = tuple(search.objectives)
        self._ranges = search.ranges
        self._searcher = OptunaSearch(
            {axis: _distribution(limits) for axis, limits in search.ranges.items()},
            metric=list(search.objectives),
            mode=list(search.objectives.values()),
            points_to_evaluate=[
                self._numbered(point) for point in (*known, *(point for point in search.start if point not in known))
            ],
            # The seed depends on the record: else the points after a resume would repeat the first random ones.
            # All axes are sampled together: how much one layer can lose depends on what the others have lost.
            sampler=optuna.samplers.TPESampler(seed=(search.seed + len(known)) % 2**32, multivariate=True),
        )

    def propose(self, number: int) -> dict[str, Any]:
        from ray.tune.utils import flatten_dict

        drawn = flatten_dict(self._searcher.suggest(str(number)) or {}, "/")  # the searcher nests a layer's path
        return {
            axis: in_range(drawn[axis], span) if "low" in span else span["choices"][drawn[axis]]
            for axis, span in self._ranges.items()
        }

    def _numbered(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point with the positions of its choices as values: Optuna takes no lists, which are values of some axes."""
        spans = self._ranges
        return {
            axis: value if "low" in spans[axis] else spans[axis]["choices"].index(value)
            for axis, value in point.items()
        }

    def tell(self, number: int, metrics: Metrics | None) -> None:
        """Metrics without a finite value of every objective count as those of a failure."""
        values = [(metrics or {}).get(name, math.nan) for name in self._objectives]
        if all(math.isfinite(value) for value in values):
            self._searcher.on_trial_complete(str(number), dict(zip(self._objectives, values, strict=True)))
        else:
            self._searcher.on_trial_complete(str(number), error=True)


def _distribution(limits: Mapping[str, Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if "choices" in limits:
        return CategoricalDistribution(range(len(limits["choices"])))
    kind = IntDistribution if limits.get("integer") else FloatDistribution
    return kind(limits["low"], limits["high"], log=bool(limits.get("log")))


def _read_points(record: Path, search: SearchSpec) -> tuple[list[dict[str, Any]], bool]:
    """The points of the search that the record holds, and whether it holds anything else."""
    try:
        lines = record.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return [], False
    points = [_point(line, search) for line in lines]
    damaged = [number for number, point in enumerate(points, 1) if point is None]
    if damaged:
        where = ", ".join(map(str, damaged[:3])) + (", ..." if len(damaged) > 3 else "")
        log.warning("%s is damaged in line %s: new points are proposed instead of %d", record, where, len(damaged))
    return [point for point in points if point is not None], bool(damaged)


def _point(line: bytes, search: SearchSpec) -> dict[str, Any] | None:
    """The point in a line of the record; None for a line that is cut short, or holds what the search cannot propose."""
    try:
        point = parse(line) if line.endswith(b"\n") else None
        if not isinstance(point, dict) or set(point) != set(search.ranges):
            return None
        if any("choices" in span and point[axis] not in span["choices"] for axis, span in search.ranges.items()):
            return None
        trial_of(search, point)
    except ValueError:
        return None
    return point


def _line(point: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(point), sort_keys=True).encode() + b"\n"
