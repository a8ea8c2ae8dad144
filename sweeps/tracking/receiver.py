"""The receiver of the outbox: turns what is to be delivered into runs of MLflow."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sweeps.redact import as_yaml, redact
from sweeps.specs import Failure, Plan, Result, Work
from sweeps.store import ResultStore, full_disk
from sweeps.tracking.artifacts import remove_staged
from sweeps.tracking.content import RunContent, SweepContent, texts_beside
from sweeps.tracking.ledger import Ledger
from sweeps.tracking.outbox import Refusal
from sweeps.tracking.provenance import provenance
from sweeps.tracking.runs import Gap, SweepRuns
from sweeps.tracking.sweep_run import sweep_name, sweep_note, sweep_params
from sweeps.tracking.target import Place, Target

log = logging.getLogger(__name__)
# What SQLAlchemy puts before the database's own text: where the error came up, and its kind.
_OF_SQLALCHEMY = re.compile(r"\(raised as a result of Query-invoked autoflush;[^)]*\)\s*|\((?:\w+\.)+\w+\)\s*")


FRESH_S = 30.0
"""For this time, a result that this run has made is delivered without a second check of its checksums."""


@dataclass(frozen=True)
class Item:
    """One thing to deliver.

    Attributes:
        work: what was done.
        result: what came of it, its files verified at `at`; None for a failure.
        cached: whether an earlier run has made the result.
        failure: why there is no result.
        at: when it was handed over, in seconds since the epoch.
    """

    work: Work
    result: Result | None = None
    cached: bool = False
    failure: Failure | None = None
    at: float = field(default_factory=time.time)

    @property
    def is_fresh(self) -> bool:
        """Whether the result can be taken as it was when it was handed over."""
        return self.result is not None and not self.cached and 0 <= time.time() - self.at < FRESH_S


@dataclass(frozen=True)
class Closing:
    """How the sweep's own run is to end: see `Tracker.finish`."""

    status: str
    artifacts: Mapping[str, Path]
    metrics: Mapping[str, float]


class MlflowReceiver:
    """The receiver of the outbox: turns work into runs. Used by the outbox's thread only."""

    def __init__(
        self,
        target: Target,
        root: Path,
        plan: Plan,
        store: ResultStore,
        config: Mapping[str, Any],
        problems: Callable[[str], None],
        command: str,
        gap: Gap,
    ) -> None:
        self.run_ids: dict[str, str] = {}
        self.place = Place(target)
        self._whole: set[str] = set()
        self._renewed: set[str] = set()
        self._target = target
        self._plan = plan
        self._store = store
        self._config = config
        self._problems = problems
        self._command = command
        self._gap = gap
        self._full = False
        digest = hashlib.sha256(f"{target.shown} {target.experiment}".encode()).hexdigest()[:8]
        self.ledger_file = root / "sweeps" / plan.sweep_id / f"delivered-{digest}.jsonl"
        self._lock = FileLock(f"{self.ledger_file}.lock", timeout=0)
        owner = hashlib.sha256(f"{os.getuid()} {self.ledger_file}".encode()).hexdigest()[:8]
        self._temporary = f"prune-sweep-{owner}-"

    def open(self) -> None:
        self._acquire_lock()
        remove_staged(self._temporary)
        self._ledger = Ledger(self.ledger_file)
        self._content = SweepContent(self._plan, self._ledger.started_at, provenance())
        self._runs = SweepRuns(self._target, self._plan.sweep_id, self._gap, self._temporary)
        tags = {**provenance(), "mlflow.note.content": sweep_note(self._plan, self._command)}
        name, params = sweep_name(self._plan), sweep_params(self._plan)
        self._runs.open_parent(name, params, tags, as_yaml(self._config), self._ledger.started_at)
        for key, run_id in self._runs.finished.items():
            self._acknowledge(key, run_id)
        self._runs.ask([key for key, run_id in self._runs.finished.items() if self._ledger.settled.get(key) != run_id])
        self.place = Place(self._target, self._runs.experiment_id, self._runs.parent_id)

    def deliver(self, item: Item) -> None:
        key = item.work.key
        self._full = False
        try:
            if key in self._runs.finished and self._is_whole(item):
                return
            content = self._content_of(item)
            if content is None:
                return
            if key in self._runs.finished:
                self._renewed.add(key)
                self._runs.reopen(key)
            run_id = self._runs.deliver(content)
        except Exception as error:
            if not _may_pass(error):
                log.warning("%s cannot be delivered", item.work.label, exc_info=error)
                raise Refusal(str(error)) from error
            self._full = bool(full_disk.reason(error))
            self._runs.forget(key)
            raise
        if content.status == "FINISHED":
            self._acknowledge(key, run_id)
        self._gap("acknowledged")

    def close(self, last: Closing) -> None:
        there = {name: path for name, path in last.artifacts.items() if path.is_file()}
        self._runs.close_parent(last.status, there, last.metrics)
        self._ledger.settle(self._whole)
        if self._renewed:
            self._problems(_renewed(len(self._renewed), self._target.shown))

    def alive(self) -> bool:
        return not self._full and self._runs.alive()  # MLflow can still read from a full disk

    def forgo(self, item: Item, error: Exception) -> None:
        self._problems(
            f"{item.work.label} cannot be delivered to {self._target.shown} ({first_line(str(error))}): "
            f"its result stays in {self._store.folder(item.work.key)}"
        )

    def release(self) -> None:
        self._lock.release()

    def _acquire_lock(self) -> None:
        if self._lock.is_locked:
            return
        self.ledger_file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise RuntimeError("another run of the same sweep is delivering") from None
        except NotImplementedError:  # a file system without locks: two drivers at once then do not notice each other
            log.warning(
                "%s lies on a file system without locks: run this sweep once at a time", self.ledger_file.parent
            )

    def _is_whole(self, item: Item) -> bool:
        """Whether the finished run of a result still holds it: after the delivery, there may have been a power cut."""
        key, result = item.work.key, item.result
        if result is None or key in self._whole:
            return True
        folder = self._store.folder(key)
        files = {name: folder / name for name in result.files}
        whole = self._runs.is_intact(key, files, result.files, texts_beside(result.files))
        if whole and self._runs.was_asked(key):
            self._whole.add(key)
        return whole

    def _acknowledge(self, key: str, run_id: str) -> None:
        self._ledger.acknowledge(key, run_id)
        self.run_ids[key] = run_id

    def _content_of(self, item: Item) -> RunContent | None:
        if item.failure is not None:
            return self._content.of_failure(item.failure, item.at)
        if result := item.result if item.is_fresh else self._store.load(item.work.key):
            return self._content.of_result(item.work, result, self._store.folder(item.work.key), item.cached)
        self._problems(f"the result of {item.work.label} is damaged on disk: run the same command again to redo it")
        return None


def _may_pass(error: Exception) -> bool:
    """Whether waiting or looking again may help: trouble on the way, on the server, or with a run that was deleted."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, (MlflowException, OSError)) and not isinstance(error, FileNotFoundError)


def _renewed(count: int, where: str) -> str:
    runs = f"{count} run{'s' * (count > 1)}"
    return (
        f"{where}: {runs} did not hold what is in the store, after a crash or power cut, and had to be delivered again"
    )


def first_line(text: str) -> str:
    """What a person needs to know about an error of MLflow."""
    bare = _OF_SQLALCHEMY.sub("", full_disk.told(text) or text).strip()
    line = redact(bare or text.strip()).splitlines()[0]
    return line if len(line) <= 160 else line[:157] + "..."
