"""The plan as text: what would run, what is finished, and how long it may take, from what past runs took."""

import math
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sweeps.json_text import parse
from sweeps.machines import Room
from sweeps.plan import guessed_seconds
from sweeps.specs import BaselineSpec, Plan, SearchSpec, Work
from sweeps.store import RECORD, ResultStore
from sweeps.terminal.progress import format_duration

MOST_LINES = 50
"""Trials that are printed one by one; the rest is counted."""
MOST_RECORDS = 1000
"""Past results that are read for the estimate, newest first."""

Kind = tuple[str, str, str, str]
"""Work that takes about the same time: kind, method, network, dataset."""


@dataclass(frozen=True)
class Outlook:
    """What of a plan is finished, and what the rest may take.

    Attributes:
        cached: keys of the plan's work that the store has (not verified: the run does that).
        to_train: baselines that are missing and needed.
        to_run: trials that are missing.
        estimates: {key: seconds} of missing work like which something was done before.
        guesses: {key: seconds} of other missing work, and of searches, as far as anything can be said.
        to_search: trials that searches will propose; how many of them are finished is not known.
    """

    cached: frozenset[str]
    to_train: tuple[BaselineSpec, ...]
    to_run: tuple[Work, ...]
    estimates: Mapping[str, float]
    guesses: Mapping[str, float] = field(default_factory=dict)
    to_search: int = 0

    @property
    def is_work_left(self) -> bool:
        """Whether anything may have to run; a search is only known to be finished by going through it."""
        return bool(self.to_train or self.to_run or self.to_search)

    def seconds(self, slots: int) -> float:
        """Estimate for `slots` pieces of work at once: shared out evenly, but no trial before its baseline."""
        took = {**self.guesses, **self.estimates}
        baselines = {baseline.key: took.get(baseline.key, 0.0) for baseline in self.to_train}
        chains = [baselines.get(_baseline_key(trial), 0.0) + took.get(trial.key, 0.0) for trial in self.to_run]
        return max([sum(took.values()) / slots, *chains, *baselines.values()])


def outlook(plan: Plan, store: ResultStore) -> Outlook:
    """Look into the store; a folder without a result file counts as absent."""
    present = _present(store)
    elsewhere = store.elsewhere()
    cached = frozenset(work.key for work in plan if work.key in present or work.key in elsewhere)
    to_run = tuple(trial for trial in plan.trials if trial.key not in cached)
    needed = {trial.baseline.key for trial in to_run} | {search.baseline.key for search in plan.searches}
    to_train = tuple(b for b in plan.baselines if b.key in needed and b.key not in cached)
    took = _past_seconds(store, present) if to_run or to_train else {}
    missing: tuple[Work, ...] = (*to_train, *to_run)
    estimates = {work.key: took[_kind(work)] for work in missing if _kind(work) in took}
    unlike = [work for work in (*missing, *plan.searches) if work.key not in estimates]
    guesses = {work.key: seconds for work in unlike if (seconds := guessed_seconds(work)) is not None}
    return Outlook(cached, to_train, to_run, estimates, guesses, sum(search.n_trials for search in plan.searches))


def headline(plan: Plan, results: str, tracking: str) -> Iterator[str]:
    """The first lines of any output: where everything goes, and what it is."""
    yield f"results go to {results}, MLflow runs to {tracking}"
    yield f"sweep {plan.sweep_id}: {summary(plan)}"
    yield from plan.remarks
    yield from dict.fromkeys(f"{b.title}: {b.remark}" for b in plan.baselines if b.remark)


def summary(plan: Plan) -> str:
    """What it is, in a line."""
    networks = _count(len(plan.baselines), "dense network")
    return f"{_count(_n_trials(plan), 'trial')} of {', '.join(_methods(plan))} on {networks}"


def plan_lines(plan: Plan, ahead: Outlook, room: Room | None) -> Iterator[str]:
    """The whole plan for a person.

    Args:
        plan: what was asked for.
        ahead: its outlook.
        room: for pieces of work at once; None: unknown, for the cluster is to be made.
    """
    training = {baseline.key for baseline in ahead.to_train}
    yield ""
    yield "dense networks"
    yield from _listed(
        [(_state(b, ahead, "train" if b.key in training else "not needed"), b.label) for b in plan.baselines]
    )
    if plan.trials:
        yield "trials"
        yield from _listed([(_state(trial, ahead, "run"), trial.label) for trial in plan.trials])
    if plan.searches:
        yield "searches"
        yield from _listed([(f"{search.n_trials} trials", _search_label(search)) for search in plan.searches])
    yield ""
    yield from _summary(plan, ahead, room)


def _summary(plan: Plan, ahead: Outlook, room: Room | None) -> Iterator[str]:
    n_cached = sum(trial.key in ahead.cached for trial in plan.trials)
    at_once = "as many at once as the cluster has room for" if room is None else str(room)
    to_train, to_run = len(ahead.to_train), len(ahead.to_run) + ahead.to_search
    yield (
        f"to do: {_count(to_train, 'baseline')} to train, {_count(to_run, 'trial')} to run, {at_once}; "
        f"{_count(n_cached, 'trial')} cached"
    )
    yield f"time: {_time(plan, ahead, room.slots if room else None)}"


def _time(plan: Plan, ahead: Outlook, slots: int | None) -> str:
    """How long it may take, and what that goes by."""
    if not ahead.is_work_left:
        return "nothing is left to do"
    if not ahead.estimates and not ahead.guesses:
        return "no past runs to estimate from"
    pieces = len(ahead.to_train) + len(ahead.to_run) + len(plan.searches)
    unknown = pieces - len(ahead.estimates) - len(ahead.guesses)
    known_by = ["past runs"] if ahead.estimates else []
    known_by += ["the number of multiplications, very roughly"] if ahead.guesses else []
    return (
        f"about {format_duration(max(1, ahead.seconds(slots or 1)))} once the workers are up"
        + ("" if slots else " of work in all")
        + (f", not counting {unknown} unlike anything done before" if unknown else "")
        + f", judging by {' and '.join(known_by)}"
    )


def _listed(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for state, label in rows[:MOST_LINES]:
        yield f"  {state:<11} {label}"
    if len(rows) > MOST_LINES:
        yield f"  ... and {len(rows) - MOST_LINES} more"


def _state(work: Work, ahead: Outlook, otherwise: str) -> str:
    return "cached" if work.key in ahead.cached else otherwise


def _search_label(search: SearchSpec) -> str:
    goals = ", ".join(f"{metric} {way}" for metric, way in search.objectives.items())
    begun = f", the first {len(search.start)} with equal layers" if search.start else ""
    return f"{search.method} over {', '.join(search.ranges) or 'nothing'} for {goals}{begun}, {search.baseline.label}"


def _methods(plan: Plan) -> list[str]:
    return list(dict.fromkeys([trial.method for trial in plan.trials] + [search.method for search in plan.searches]))


def _n_trials(plan: Plan) -> int:
    return len(plan) - len(plan.baselines)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _baseline_key(work: Work) -> str:
    return work.key if isinstance(work, BaselineSpec) else work.baseline.key


def _kind(work: Work) -> Kind:
    if isinstance(work, BaselineSpec):
        return ("baseline", "", work.model, work.dataset)
    return ("trial", work.method, work.baseline.model, work.baseline.dataset)


def _present(store: ResultStore) -> dict[str, float]:
    """{key: time of the record} of finished results, newest first; one look at each folder's record."""
    try:
        folders = [entry.name for entry in os.scandir(store.results) if not entry.name.startswith(".")]
    except OSError:  # no sweep has run here yet
        return {}
    times = {}
    for key in folders:
        try:
            times[key] = (store.folder(key) / RECORD).stat().st_mtime
        except (OSError, ValueError):  # not a result
            continue
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def _past_seconds(store: ResultStore, newest_first: Mapping[str, float]) -> dict[Kind, float]:
    """Median duration of each kind of work among the newest results."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for key in list(newest_first)[:MOST_RECORDS]:
        try:
            record = parse((store.folder(key) / RECORD).read_bytes())["result"]
            params = record["params"]
            kind = (record["kind"], params.get("method", ""), params["model"], params["dataset"])
            seconds = float(record["ended_at"]) - float(record["started_at"])
            if math.isfinite(seconds) and seconds >= 0:
                found[kind].append(seconds)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):  # the run will say it
            continue
    return {kind: statistics.median(times) for kind, times in found.items()}
