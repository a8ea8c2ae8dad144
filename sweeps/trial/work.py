"""What a worker does for one piece of work: train a baseline, or prune one. Imports neither Ray nor MLflow.

Both kinds are generators: each step yields (fraction done, note for a person), and when the generator is exhausted the
result is committed to the store.
"""

import gc
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from prune_core.measure import Stopwatch
from sweeps.process import pin
from sweeps.specs import BaselineSpec, Work
from sweeps.store import ResultStore
from sweeps.trial.prune_baseline import run_trial
from sweeps.trial.result import Progress
from sweeps.trial.train_baseline import refuse_change, run_baseline


def prepare() -> None:
    """Import what work needs, so that its first piece takes no longer than later ones. Waiting time starts here."""
    pin()
    from prune_core import codec, models, pipeline, training  # noqa: F401
    from prune_core.measure import latency  # noqa: F401
    from sweeps.trial import (
        pictures,  # noqa: F401
        summary,  # noqa: F401
    )

    gc.collect()
    gc.freeze()  # objects of the libraries stay: to look through them after every trial would take 0.1 s and more
    _Idle.begin()


def run(work: Work, data: Any, store: ResultStore) -> Iterator[Progress]:
    """Do one piece of work on a `prune_core.data.Dataset`.

    Raises:
        FileNotFoundError: a trial whose baseline is not in the store.
        UserError: the file of the dataset or the network is not the one that was planned with.
        Exception: any exception of the work itself; nothing is committed then.
    """
    watch = _Idle.end()
    pin()
    import keras

    # A warm worker names layers as a fresh process would, and keeps no network of an earlier trial.
    keras.utils.clear_session(free_memory=False)
    gc.collect()
    try:
        refuse_change(work.baseline, "dataset", data.info.fingerprint)
        if isinstance(work, BaselineSpec):
            yield from run_baseline(work, data, store, watch)
        else:
            yield from run_trial(work, data, store, watch)
    finally:
        _Idle.begin()


class _Idle:
    """The time in which this process could have worked and had nothing to do."""

    _since: ClassVar[float] = time.perf_counter()

    @classmethod
    def begin(cls) -> None:
        cls._since = time.perf_counter()

    @classmethod
    def end(cls) -> Stopwatch:
        watch = Stopwatch()
        watch.add({"wait": time.perf_counter() - cls._since})
        return watch
