"""The results of a sweep put apart by network and dataset: what is compared with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.reporting.reference import Reference, ReferencePoint
from sweeps.reporting.results import Group, Row, groups
from sweeps.run_content import baseline_of
from sweeps.specs import BaselineSpec


@dataclass(frozen=True)
class Scene:
    """Everything on one network and one dataset.

    Attributes:
        model, dataset: names.
        points: groups over seeds.
        dense: metrics of the dense network, means over seeds; {} if none is finished.
        reference: published points that may stand beside them, and what to call them.
        called: the title, where that says more than the names.
    """

    model: str
    dataset: str
    points: tuple[Group, ...]
    dense: Mapping[str, float]
    reference: Reference | None
    called: str = ""

    @property
    def title(self) -> str:
        """ "lenet_300_100 on mnist_5k"."""
        return self.called or f"{self.model} on {self.dataset}"

    @property
    def published(self) -> tuple[ReferencePoint, ...]:
        """The source's points on this network and dataset."""
        return self.reference.points_on(self.model, self.dataset) if self.reference else ()


def scenes(rows: Sequence[Row], reference: Reference | None = None) -> list[Scene]:
    """One scene for every network and dataset that has trials, in order of appearance."""
    points = groups(rows)
    found = []
    for model, dataset in dict.fromkeys((group.model, group.dataset) for group in points):
        baselines = [
            row.result.metrics
            for row in rows
            if isinstance(row.work, BaselineSpec) and (row.work.model, row.work.dataset) == (model, dataset)
        ]
        names = baselines[0] if baselines else {}
        dense = {name: fmean(b[name] for b in baselines if name in b) for name in names}
        here = tuple(group for group in points if (group.model, group.dataset) == (model, dataset))
        is_about = reference is not None and (reference.model, reference.dataset) == (model, dataset)
        called = next(of.title for row in rows if ((of := baseline_of(row.work)).model, of.dataset) == (model, dataset))
        found.append(Scene(model, dataset, here, dense, reference if is_about else None, called))
    return found
