"""The plan as text: what would run, what is finished, and how long it may take, judged by past runs."""

from collections.abc import Iterator, Sequence

from sweeps.machines import Room
from sweeps.plan import Outlook
from sweeps.specs import Plan, SearchSpec, Work
from sweeps.terminal.progress import format_duration

MOST_LINES = 50
"""Trials that are printed one by one; the others are only counted."""


def headline(plan: Plan, results: str, tracking: str) -> Iterator[str]:
    """The first lines of any output: where results go, which sweep it is, and remarks on it."""
    yield f"results go to {results}, MLflow runs to {tracking}"
    yield f"sweep {plan.sweep_id}: {summary(plan)}"
    yield from plan.remarks
    yield from dict.fromkeys(f"{b.title}: {b.remark}" for b in plan.baselines if b.remark)


def summary(plan: Plan) -> str:
    """The sweep in a line: "5 trials of importance on 1 dense network"."""
    networks = _count(len(plan.baselines), "dense network")
    return f"{_count(plan.n_trials, 'trial')} of {', '.join(plan.methods)} on {networks}"


def plan_lines(plan: Plan, ahead: Outlook, room: Room | None) -> Iterator[str]:
    """The whole plan for a person.

    Args:
        plan: what was asked for.
        ahead: its outlook.
        room: how much work fits at once; None: unknown, because the cluster does not exist yet.
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
    """How long it may take, and what the estimate is based on."""
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


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
