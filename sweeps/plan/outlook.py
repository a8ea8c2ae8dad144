"""Which work of a plan is missing in the store, and how long it may take, judged by past runs."""

import math
import os
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweeps.json_text import parse
from sweeps.plan.estimate import guessed_seconds
from sweeps.specs import BaselineSpec, Plan, Work
from sweeps.store import RECORD, ResultStore

MOST_RECORDS = 1000
"""Past results that are read for the estimate, newest first."""

Kind = tuple[str, str, str, str]
"""Work that takes about the same time: kind, method, network, dataset."""


@dataclass(frozen=True)
class Missing:
    """Which work of a plan is finished and which is not.

    Attributes:
        cached: keys of the plan's work that the store has (not verified: the run does that).
        to_train: baselines that are missing and needed.
        to_run: trials that are missing.
        to_search: trials that searches will propose; how many of them are finished is not known.
    """

    cached: frozenset[str]
    to_train: tuple[BaselineSpec, ...]
    to_run: tuple[Work, ...]
    to_search: int

    @property
    def is_work_left(self) -> bool:
        """Whether anything may have to run. Only running a search tells whether it is finished."""
        return bool(self.to_train or self.to_run or self.to_search)


@dataclass(frozen=True)
class Outlook(Missing):
    """The missing work of a plan, and how long it may take.

    Attributes:
        estimates: {key: seconds} of missing work to which some past work is similar.
        guesses: {key: seconds} of other missing work, and of searches, where a guess is possible.
    """

    estimates: Mapping[str, float] = field(default_factory=dict)
    guesses: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, slots: int) -> float:
        """Estimate for `slots` pieces of work at once: shared out evenly, but no trial before its baseline."""
        took = {**self.guesses, **self.estimates}
        baselines = {baseline.key: took.get(baseline.key, 0.0) for baseline in self.to_train}
        chains = [baselines.get(trial.baseline.key, 0.0) + took.get(trial.key, 0.0) for trial in self.to_run]
        return max([sum(took.values()) / slots, *chains, *baselines.values()])


def missing_of(plan: Plan, store: ResultStore) -> Missing:
    """Look for each result of the plan in the store; a folder without a record counts as absent. None is read."""
    elsewhere = store.elsewhere()
    cached = frozenset(work.key for work in plan if work.key in elsewhere or _is_present(store, work.key))
    to_run = tuple(trial for trial in plan.trials if trial.key not in cached)
    needed = {trial.baseline.key for trial in to_run} | {search.baseline.key for search in plan.searches}
    to_train = tuple(b for b in plan.baselines if b.key in needed and b.key not in cached)
    return Missing(cached, to_train, to_run, sum(search.n_trials for search in plan.searches))


def outlook_of(plan: Plan, store: ResultStore) -> Outlook:
    """What is missing, and how long it may take: reads up to `MOST_RECORDS` records of past results."""
    missing = missing_of(plan, store)
    works: tuple[Work, ...] = (*missing.to_train, *missing.to_run)
    took = _past_seconds(store) if works else {}
    estimates = {work.key: took[_kind(work)] for work in works if _kind(work) in took}
    unlike = [work for work in (*works, *plan.searches) if work.key not in estimates]
    guesses = {work.key: seconds for work in unlike if (seconds := guessed_seconds(work)) is not None}
    return Outlook(missing.cached, missing.to_train, missing.to_run, missing.to_search, estimates, guesses)


def _kind(work: Work) -> Kind:
    method = "" if isinstance(work, BaselineSpec) else work.method
    return (work.kind, method, work.baseline.model, work.baseline.dataset)


def _is_present(store: ResultStore, key: str) -> bool:
    return os.path.exists(store.folder(key) / RECORD)


def _past_seconds(store: ResultStore) -> dict[Kind, float]:
    """Median duration of each kind of work among the newest results."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for key in _newest(store):
        try:
            record = parse((store.folder(key) / RECORD).read_bytes())["result"]
            params = record["params"]
            kind = (record["kind"], params.get("method", ""), params["model"], params["dataset"])
            seconds = float(record["ended_at"]) - float(record["started_at"])
            if math.isfinite(seconds) and seconds >= 0:
                found[kind].append(seconds)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):  # the run will report it
            continue
    return {kind: statistics.median(times) for kind, times in found.items()}


def _newest(store: ResultStore) -> list[str]:
    """Keys of the newest results, newest first, by the times of their records."""
    try:
        folders = [entry.name for entry in os.scandir(store.results) if not entry.name.startswith(".")]
    except OSError:  # no sweep has run here yet
        return []
    times = {}
    for key in folders:
        try:
            times[key] = (store.folder(key) / RECORD).stat().st_mtime
        except (OSError, ValueError):  # not a result
            continue
    return sorted(times, key=lambda key: -times[key])[:MOST_RECORDS]
