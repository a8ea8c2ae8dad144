"""Decides which work may start when: baselines before the trials that prune them, lost work again, no work twice."""

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from sweeps.engine.events import Announcer
from sweeps.engine.open_searches import Searches
from sweeps.engine.search import PointSource
from sweeps.specs import BaselineSpec, Failure, Plan, Result, Work
from sweeps.store import ResultStore, StorageAway, StorageFull

log = logging.getLogger(__name__)


class WorkQueue:
    """The state of a sweep.

    The caller asks `next()` for work, and says what became of it with `finished`, `failed` or `lost`; everything is
    announced from here. Results come from the store, never from the caller.

    Args:
        plan: what to do.
        searches: a source of points for each of `plan.searches`.
        store: where workers put results.
        announcer: is told of everything.
        max_retries: how often work is tried again after its worker died.
    """

    def __init__(
        self, plan: Plan, searches: Sequence[PointSource], store: ResultStore, announcer: Announcer, max_retries: int
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._max_retries = max_retries
        self._ready: deque[Work] = deque()
        self._running: dict[str, Work] = {}
        self._waiting: dict[str, list[Work]] = defaultdict(list)
        self._searches = Searches(searches)
        self._attempts: Counter[str] = Counter()
        self._alone: set[str] = set()
        self._failed: set[str] = set()
        self._announced: set[str] = set()
        self._stopped = False
        self._halted = ""
        self._take_in(plan)

    def next(self) -> Work | None:
        """Work to start now, or None if there is nothing to do until something running ends."""
        if self._stopped or self._alone & self._running.keys():
            return None
        work = self._ready.popleft() if self._ready else self._next_of_searches()
        if work is None:
            return None
        if work.key in self._alone and self._running:
            self._ready.appendleft(work)
            return None
        self._attempts[work.key] += 1
        self._running[work.key] = work
        return work

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing more will start."""
        if self._running:
            return False
        return self._stopped or not (self._ready or self._waiting or self._searches.remaining)

    @property
    def running(self) -> dict[str, Work]:
        """Work handed out and not reported back, by key."""
        return dict(self._running)

    @property
    def unstarted(self) -> int:
        """Number of pieces of work still to hand out that are known now."""
        return len(self._ready) + sum(map(len, self._waiting.values())) + self._searches.remaining

    def baselines(self) -> list[BaselineSpec]:
        """The baselines of the work still to hand out."""
        waiting = [work for works in (self._ready, *self._waiting.values()) for work in works]
        found = [work.baseline for work in waiting] + self._searches.baselines()
        return list({baseline.key: baseline for baseline in found}.values())

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True

    def halt(self, reason: str) -> None:
        """Hand out nothing more, because no further work can succeed. The first reason is kept."""
        self._halted = self._halted or reason
        self._stopped = True

    @property
    def halted(self) -> str:
        """Why `halt` was called, "" if it was not."""
        return self._halted

    def abandon(self, reason: str, traceback: str = "") -> None:
        """No worker can be started: all work that has not started is lost."""
        while self._ready:
            work = self._ready.popleft()
            self._running[work.key] = work
            self._give_up(work.key, Failure(work, "lost", reason, traceback, self._attempts[work.key]))
        self._stopped = True

    def progressed(self, key: str, fraction: float, note: str) -> None:
        """Announce how far a running piece of work is."""
        if key in self._running:
            self._announcer.progressed(self._running[key], fraction, note)

    def started(self, key: str) -> None:
        """A worker has taken a piece of work."""
        if key in self._running:
            self._announcer.started(self._running[key])

    def finished(self, key: str) -> None:
        """A worker says that it has committed a result."""
        work = self._running.get(key)
        if work is None:
            return
        try:
            # Most results are made on this machine: then no other place is asked.
            result = self._store.load(key) or self._store.fetch(key)
        except StorageFull as error:
            self.no_room(key, str(error))
            return
        except StorageAway as error:
            self.lost(key, str(error))
            return
        except OSError as error:  # also from moving a damaged result aside
            if full := self._store.full(error):
                self.no_room(key, str(full))
                return
            self.failed(
                key, f"its result cannot be read ({error.strerror or error}): see storage.root={self._store.root}"
            )
            return
        if result is None:
            self.failed(key, "the worker finished, but there is no intact result in the store: is storage.root shared?")
            return
        del self._running[key]
        self._announce(work, result, cached=False)

    def failed(self, key: str, reason: str, traceback: str = "") -> None:
        """The work itself raised. It is not tried again."""
        if key in self._running:
            self._give_up(key, Failure(self._running[key], "failed", reason, traceback, self._attempts[key]))

    def no_room(self, key: str, reason: str) -> None:
        """The result could not be kept, because a disk is full. The work is not at fault, and the sweep halts."""
        self.halt(reason)
        self.lost(key, reason)

    def lost(self, key: str, reason: str, out_of_memory: bool = False, traceback: str = "") -> None:
        """The worker died. The work is tried again; if memory ran out, only once more, with nothing else running.

        Work that was lost twice is tried alone as well: Linux may have ended its workers because memory was short, and
        it does not say so. After the queue has stopped, lost work is not tried again and is not a failure.
        """
        if key not in self._running:
            return
        attempts = self._attempts[key]
        too_big = out_of_memory and key in self._alone
        if out_of_memory or attempts > 1:
            self._alone.add(key)
        if self._stopped:
            del self._running[key]
        elif too_big or attempts > self._max_retries:
            reason = f"too big for the memory there, with nothing beside it as well: {reason}" if too_big else reason
            self._give_up(key, Failure(self._running[key], "lost", reason, traceback, attempts))
        else:
            how = " with nothing beside it" if key in self._alone else ""
            log.warning("%s is tried again%s: %s", self._running[key].label, how, reason)
            self._ready.appendleft(self._running.pop(key))

    def not_begun(self, key: str) -> None:
        """No worker has taken the work: it counts as not handed out."""
        if key in self._running:
            self._attempts[key] -= 1
            self._ready.appendleft(self._running.pop(key))

    def _take_in(self, plan: Plan) -> None:
        cached: dict[str, Result] = {}
        for trial in plan.trials:
            result = self._store.load(trial.key)
            if result is not None:
                cached[trial.key] = result
            else:
                self._waiting[trial.baseline.key].append(trial)
        for baseline in plan.baselines:
            result = self._store.load(baseline.key)
            if result is not None:
                self._announce(baseline, result, cached=True)
            elif baseline.key in self._waiting or self._must_run(baseline):
                self._ready.append(baseline)
        for trial in plan.trials:
            if trial.key in cached:
                self._announce(trial, cached[trial.key], cached=True)

    def _must_run(self, baseline: BaselineSpec) -> bool:
        """Whether a search needs a baseline that is not in the store.

        Recorded points whose results are in the store are announced on the way. The first one without a result waits.
        """
        for search in self._searches.of(baseline.key):
            while search.points.knows_next:
                trial = search.propose()
                result = self._store.load(trial.key)
                if result is None:
                    self._waiting[baseline.key].append(trial)
                    return True
                self._announce(trial, result, cached=True)
        return any(not search.points.exhausted for search in self._searches.of(baseline.key))

    def _announce(self, work: Work, result: Result, cached: bool) -> None:
        if work.key not in self._announced:
            self._announced.add(work.key)
            self._announcer.finished(work, result, cached)
        self._searches.tell(work.key, result.metrics)
        if isinstance(work, BaselineSpec):
            self._ready.extend(self._waiting.pop(work.key, []))
            self._searches.open(work.key)

    def _give_up(self, key: str, failure: Failure) -> None:
        work = self._running.pop(key)
        self._failed.add(key)
        self._announcer.failed(failure)
        self._searches.tell(key, None)
        if isinstance(work, BaselineSpec):
            self._block(work, failure.reason)

    def _block(self, baseline: BaselineSpec, reason: str) -> None:
        self._searches.drop(baseline.key)
        for trial in self._waiting.pop(baseline.key, []):
            self._failed.add(trial.key)
            because = f"its baseline ({baseline.label}) has no result: {reason}"
            self._announcer.failed(Failure(trial, "blocked", because, "", attempts=0))

    def _next_of_searches(self) -> Work | None:
        """The next point that has to be run. Results that are known already are told to their searches on the way."""
        for search in self._searches.unexhausted():
            while search.is_open and not search.points.exhausted:
                trial = search.propose()
                if trial.key in self._failed:
                    search.tell(trial.key, None)
                    continue
                if trial.key in self._running:
                    continue
                result = self._store.load(trial.key)
                if result is None:
                    return trial
                self._announce(trial, result, cached=True)
        return None
