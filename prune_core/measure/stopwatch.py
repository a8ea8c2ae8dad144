"""How long the steps of a computation took."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class Stopwatch:
    """Adds up seconds by the name of a step. Steps must not be nested.

    Attributes:
        started_at: when it was made, in seconds since the epoch.
        seconds: {name of a step: its wall time so far}, in the order in which steps first ended.
    """

    def __init__(self) -> None:
        self.started_at = time.time()
        self.seconds: dict[str, float] = {}

    def add(self, seconds: dict[str, float]) -> None:
        """Count what was measured elsewhere."""
        for name, more in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + more

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time inside the `with` to the step `name`, also if it ends with an exception."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - started})

    def each(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the time it takes to make them, not what is done with them, counts to the step `name`."""
        source = iter(items)
        while True:
            with self.step(name):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
