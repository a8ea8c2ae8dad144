"""What runs on a worker: a Tune trainable that does one piece of work after another in the same warm process."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
from ray.tune import Trainable

from prune_core.errors import UserError
from sweeps.engine import last_words, scratch
from sweeps.engine.driver_node import DriverNode
from sweeps.machines import Request
from sweeps.plain_text import plain
from sweeps.specs import Work
from sweeps.store import ResultStore, StorageAway, StorageFull

# Steps within this time are reported together: a report costs the driver some milliseconds.
_REPORT_EVERY_S = 0.25
_LOOK_AGAIN_S = 0.2
_MOST_CHARACTERS = 2000  # of a reason


def load_dataset(name: str, config: Mapping[str, Any], cache: Path) -> Any:
    """Load a dataset (in the driver)."""
    from prune_core import data

    return data.load(name, config, cache)


def prepare_process(request: Request, gpu_memory_mb: int | None) -> None:
    """Import TensorFlow and give it its share of the machine."""
    with _hidden("sklearn", "matplotlib.pyplot"):  # Keras wraps them if they are installed: a quarter of its import
        from sweeps.process import pinned

        pinned.pin()
        from prune_core import device
    device.configure(request.gpus, request.threads, gpu_memory_mb)
    from sweeps import trial

    trial.prepare()


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """While entered, some modules look as if they were not installed, unless they have been imported already."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: what Python itself puts there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def run_work(work: Work, data: Any, store: ResultStore) -> Iterator[tuple[float, str]]:
    """Do one piece of work."""
    from sweeps import trial

    yield from trial.run(work, data, store)


@dataclass(frozen=True)
class Procedures:
    """What is done with work. The defaults do the real work; tests of scheduling do trivial work instead.

    Attributes:
        load: name, configuration and cache folder of a dataset -> the dataset. Called in the driver, once per dataset.
        prepare: prepares a new worker.
        run: does one piece of work; each step gives (fraction done, note); after the last, the result is in the store.
    """

    load: Callable[[str, Mapping[str, Any], Path], Any] = load_dataset
    prepare: Callable[[Request, int | None], None] = prepare_process
    run: Callable[[Work, Any, ResultStore], Iterator[tuple[float, str]]] = run_work


@dataclass(frozen=True)
class SharedContext:
    """What all pieces of work of a sweep share; lies in Ray's object store.

    Attributes:
        procedures: what is done.
        store: where results go; a worker uses what its `on_node` gives.
        driver_node: the driver's node.
        request: what one piece of work may use.
        gpu_memory_mb: limit of GPU memory, or None.
        datasets: {dataset key: reference to the dataset in shared memory}.
    """

    procedures: Procedures
    store: ResultStore
    driver_node: DriverNode
    request: Request
    gpu_memory_mb: int | None
    datasets: Mapping[str, ray.ObjectRef] = field(default_factory=dict)


class Job:
    """One piece of work for a worker; without work, the job only prepares the worker.

    Tune copies what it hands out and writes its text into file names: a job is not copied, and its text is short.
    """

    def __init__(self, work: Work | None, dataset: str, shared: ray.ObjectRef) -> None:
        self.work = work
        self.dataset = dataset
        self.shared = shared

    def __deepcopy__(self, memo: dict) -> "Job":
        return self

    def __repr__(self) -> str:
        return self.work.key if self.work else "warm-up"


class Worker(Trainable):
    """Runs the job in `config["job"]`; reports `fraction`, `note`, and at the end `done`, with `failure` if it raised.

    It never raises: for Ray Tune, only the loss of a worker is an error. Whatever a piece of work raises is its own
    failure, also what is not an Exception: SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError.
    """

    def setup(self, config: dict[str, Any]) -> None:
        scratch.use_folder_of_ray()
        self._unready: dict[str, Any] = {}
        last_words.say_exits()
        try:
            self._take(config["job"])
            self._shared.procedures.prepare(self._shared.request, self._shared.gpu_memory_mb)
        except BaseException as error:
            self._unready = self._describe(error)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        try:
            self._take(new_config["job"])
        except BaseException as error:
            self._unready = self._describe(error)
        return True

    def step(self) -> dict[str, Any]:
        if self._unready or self._work is None:
            return {"done": True, **self._unready}
        try:
            return self._advance(self._work)
        except BaseException as error:
            return {"done": True, **self._describe(error)}

    def _describe(self, error: BaseException) -> dict[str, Any]:
        """What the driver is told of an error; `no_room`: which disk is full, if that is the cause."""
        full = error if isinstance(error, StorageFull) else self._store.full(error)
        is_here = self._shared.driver_node.is_here()
        where = "" if is_here else f"on node {ray.util.get_node_ip_address()} of the cluster, "
        return {**_describe(error), "no_room": f"{where}{full}" if full else ""}

    def _take(self, job: Job) -> None:
        self._shared = _fetch(job.shared)
        self._store = self._shared.store
        self._store = self._store.on_node(self._shared.driver_node.copies())
        self._work, self._dataset = job.work, job.dataset
        self._steps: Iterator[tuple[float, str]] | None = None
        last_words.begin(repr(job))

    def _advance(self, work: Work) -> dict[str, Any]:
        if self._steps is None:
            data = _fetch(self._shared.datasets[self._dataset])
            self._steps = _once(self._shared.driver_node.placed(work), data, self._store, self._shared.procedures)
        until = time.monotonic() + _REPORT_EVERY_S
        for fraction, note in self._steps:
            if time.monotonic() >= until:
                return {"fraction": float(fraction), "note": str(note)}
        return {"done": True}


def _once(work: Work, data: Any, store: ResultStore, procedures: Procedures) -> Iterator[tuple[float, str]]:
    """Do the work. If another sweep is doing it now, wait for its result and take that."""
    lock = store.lock(work.key)
    try:
        while not lock.acquire():
            yield 0.0, "another sweep is running it"
            time.sleep(_LOOK_AGAIN_S)
        if store.fetch(work.key) is None:
            yield from procedures.run(work, data, store)
    finally:
        lock.release()


@lru_cache(maxsize=16)
def _fetch(reference: ray.ObjectRef) -> Any:
    """What lies in shared memory; arrays are read there, not copied. Always the same object in one process."""
    return ray.get(reference)


def _describe(error: BaseException) -> dict[str, Any]:
    name = type(error).__name__
    text = _text_of(error)
    message = text.partition("\n")[0][:_MOST_CHARACTERS]
    reason = message if isinstance(error, UserError) else f"{name}: {message}".rstrip(": ")
    # The errors of NumPy and Arrow are subclasses of Python's. TensorFlow's is recognised by name, without an import.
    out_of_memory = isinstance(error, MemoryError) or name == "ResourceExhaustedError"
    return {
        "failure": text if isinstance(error, StorageAway) else reason,
        "traceback": plain("".join(traceback.format_exception(error))),
        "interrupted": isinstance(error, KeyboardInterrupt),
        "lost": out_of_memory or isinstance(error, StorageAway),  # not the work's fault: worth another attempt
        "out_of_memory": out_of_memory,
    }


def _text_of(error: BaseException) -> str:
    try:
        return plain(str(error)).strip()
    except Exception:  # its own code fails there, too
        return "it cannot say what it is about"
