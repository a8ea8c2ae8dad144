"""The searches of a work queue: which may propose now, and which results each one waits for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sweeps.engine.search import PointSource
from sweeps.specs import BaselineSpec, TrialSpec


class OpenSearch:
    """A source of points in use.

    Attributes:
        points: the source.
        is_open: whether its baseline is finished, so that its trials can run.
    """

    def __init__(self, points: PointSource) -> None:
        self.points = points
        self.is_open = False
        self._waiting: list[tuple[int, str]] = []

    def propose(self) -> TrialSpec:
        """The next trial; the search then waits for its metrics. Call only while its points are not exhausted."""
        number, trial = self.points.propose()
        self._waiting.append((number, trial.key))
        return trial

    def tell(self, key: str, metrics: Mapping[str, float] | None) -> None:
        """Give the metrics of a trial to every point that waits for them; None if the trial failed."""
        due = [number for number, waited_for in self._waiting if waited_for == key]
        self._waiting = [entry for entry in self._waiting if entry[1] != key]
        for number in due:
            self.points.tell(number, metrics)


class Searches:
    """All searches of a sweep, by the key of their baseline."""

    def __init__(self, sources: Sequence[PointSource]) -> None:
        self._of: dict[str, list[OpenSearch]] = defaultdict(list)
        for points in sources:
            self._of[points.search.baseline.key].append(OpenSearch(points))

    def of(self, baseline: str) -> list[OpenSearch]:
        """The searches on one baseline."""
        return self._of.get(baseline, [])

    def unexhausted(self) -> list[OpenSearch]:
        """The searches with points that are not proposed yet."""
        return [search for searches in self._of.values() for search in searches if not search.points.exhausted]

    @property
    def remaining(self) -> int:
        """Points that are not proposed yet."""
        return sum(search.points.remaining for search in self.unexhausted())

    def baselines(self) -> list[BaselineSpec]:
        """The baselines of the searches that have points left."""
        return [search.points.search.baseline for search in self.unexhausted()]

    def open(self, baseline: str) -> None:
        """A baseline is finished: its searches may propose."""
        for search in self.of(baseline):
            search.is_open = True

    def drop(self, baseline: str) -> None:
        """A baseline has failed, and with it its searches."""
        self._of.pop(baseline, None)

    def tell(self, key: str, metrics: Mapping[str, float] | None) -> None:
        """Give the metrics of a trial to every search that waits for them; None if the trial failed."""
        for searches in self._of.values():
            for search in searches:
                search.tell(key, metrics)
