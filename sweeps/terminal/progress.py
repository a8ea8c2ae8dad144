"""How far a sweep is: one live line on a terminal, a plain line for each finished piece of work elsewhere."""

import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from sweeps.plain_text import plain
from sweeps.specs import BaselineSpec, Failure, Plan, Result, Work

# Cached results of a plan this small are listed one by one when piped; of a larger one they are only counted.
_LIST_CACHED = 20
MOST_WARNINGS = 3
"""Warnings of one trial that are printed; deep networks may have one for each layer."""


class Clock:
    """Estimates the time left from what work of the same kind took so far, and from how much of it runs at once."""

    def __init__(self, plan: Plan, slots: int = 1) -> None:
        self._left: dict[str, int] = {"baseline": len(plan.baselines), "trial": plan.n_trials}
        self._took: dict[str, list[float]] = defaultdict(list)
        self._at_once = slots

    def running(self, count: int) -> None:
        """`count` pieces of work run now."""
        self._at_once = max(self._at_once, count)

    def done(self, work: Work, seconds: float | None) -> None:
        """A piece of work has ended; `seconds` None: it tells nothing about the time of the others."""
        self._left[work.kind] = max(0, self._left[work.kind] - 1)
        if seconds is not None:
            self._took[work.kind].append(seconds)

    def seconds_left(self, running: Mapping[str, tuple[Work, float]], now: float) -> float | None:
        """Seconds until all is done; None before anything of a kind that is left has ended.

        Args:
            running: {key: (work, when it started)}.
            now: on the same clock.
        """
        total = 0.0
        for kind, left in self._left.items():
            if not left:
                continue
            if not self._took[kind]:
                return None
            mean = sum(self._took[kind]) / len(self._took[kind])
            spent = sum(min(now - since, mean) for work, since in running.values() if work.kind == kind)
            total += max(0.0, left * mean - spent)
        return total / max(1, min(self._at_once, sum(self._left.values())))


class Progress:
    """A `sweeps.engine.events.Listener` that prints.

    Use it as a context manager around the run. The caller says how the run ended.

    Args:
        plan: what is to be done; baselines that turn out not to be needed count as well.
        slots: pieces of work at once, as known beforehand; corrected upwards by what is seen.
        stream: where to print, standard output by default; a terminal gets a live line.
    """

    def __init__(self, plan: Plan, slots: int = 1, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True, emoji=False)
        self._clock = Clock(plan, slots)
        self._total = len(plan)
        self._list_cached = self._total <= _LIST_CACHED
        self._running: dict[str, tuple[Work, float]] = {}
        self._notes: dict[str, str] = {}
        self._finished = self._cached = self._failed = 0
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._render, refresh_per_second=4, transient=True
            )  # redrawn by its own thread, so that the time moves on while nothing happens
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            if exception[:1] == (None,):  # the live line is gone, and MLflow and the report take some seconds
                self._say(f"{', '.join(self._counts())}: on to MLflow and the report")
        elif self._cached and not self._list_cached:
            self._say(f"{self._cached} results were there already")

    def starting(self, slots: int) -> None:
        """Say that the workers are starting, which takes some seconds."""
        if self._live is None:
            self._say(f"starting {slots} worker{'s' * (slots > 1)}")

    def started(self, work: Work) -> None:
        self._running[work.key] = (work, time.monotonic())
        self._clock.running(len(self._running))
        if self._live is None and isinstance(work, BaselineSpec):
            self._say(f"training {escape(work.label)}")

    def progressed(self, work: Work, fraction: float, note: str) -> None:
        self._notes[work.key] = note

    def finished(self, work: Work, result: Result, cached: bool) -> None:
        _, since = self._running.pop(work.key, (work, time.monotonic()))
        self._notes.pop(work.key, None)
        self._clock.done(work, None if cached else time.monotonic() - since)
        self._finished += not cached
        self._cached += cached
        if self._live is None and (not cached or self._list_cached):
            self._say(
                f"{self._position()} {escape(work.label)}: {_figures(result)}{', cached' if cached else self._left()}"
            )
        if warnings := result.tags.get("warning"):
            self._say(f"[bold yellow]warning[/] {escape(work.label)}: {escape(_first(warnings))}")

    def failed(self, failure: Failure) -> None:
        self._running.pop(failure.work.key, None)
        self._notes.pop(failure.work.key, None)
        self._clock.done(failure.work, None)
        self._failed += 1
        if failure.status != "blocked" or self._live is None:
            self._say(f"[bold red]{failure.status}[/] {escape(failure.work.label)}: {escape(failure.reason)}")

    def _say(self, line: str) -> None:
        self._console.print(plain(line))

    def _position(self) -> str:
        return f"{self._finished + self._cached + self._failed}/{self._total}"

    def _counts(self) -> list[str]:
        done = self._finished + self._cached
        return [f"{done} of {self._total} done", f"{self._failed} failed", f"{self._cached} cached"]

    def _left(self) -> str:
        seconds = self._clock.seconds_left(self._running, time.monotonic())
        return "" if seconds is None else f", {format_duration(seconds)} left"

    def _render(self) -> Group:
        running = dict(self._running)  # written by the other thread
        done, *others = self._counts()
        counts = [done, f"{len(running)} running", *others]
        lines = [
            Text("  ".join(counts) + self._left().replace(", ", "  "), style="bold", overflow="ellipsis", no_wrap=True)
        ]
        if not running and self._finished + self._cached + self._failed < self._total:
            lines.append(Text("  starting workers"))
        for key, (work, _) in running.items():
            if isinstance(work, BaselineSpec):
                note = self._notes.get(key, "starting")
                lines.append(Text(plain(f"  training {work.label}: {note}"), overflow="ellipsis", no_wrap=True))
        return Group(*lines[: max(2, self._console.height - 2)])


def format_duration(seconds: float) -> str:
    """8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _first(warnings: str) -> str:
    told = warnings.split("; ")
    more = len(told) - MOST_WARNINGS
    return warnings if more <= 0 else "; ".join([*told[:MOST_WARNINGS], f"and {more} more, listed in the report"])


def _figures(result: Result) -> str:
    names = {"accuracy": "accuracy {:.4f}", "sparsity": "sparsity {:.3f}"}
    parts = [spelling.format(result.metrics[name]) for name, spelling in names.items() if name in result.metrics]
    return ", ".join([*parts, f"{result.seconds:.1f} s"])
