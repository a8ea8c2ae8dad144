"""The results of a sweep by network and dataset: only results of the same two are compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.config import Reference, ReferencePoint
from sweeps.dataset_facts import facts_of
from sweeps.reporting.results import Group, Row, groups
from sweeps.specs import BaselineSpec


@dataclass(frozen=True)
class Comparison:
    """Everything on one network and one dataset.

    Attributes:
        model, dataset: names.
        points: groups over seeds.
        dense: metrics of the dense network, means over seeds; {} if none is finished.
        reference: published points that may stand beside them, and what to call them.
        called: the title, where that says more than the names.
        val_samples: size of the split that choices are made on; None if the data no longer exist.
    """

    model: str
    dataset: str
    points: tuple[Group, ...]
    dense: Mapping[str, float]
    reference: Reference | None
    called: str = ""
    val_samples: int | None = None

    @property
    def title(self) -> str:
        """ "lenet_300_100 on mnist_5k"."""
        return self.called or f"{self.model} on {self.dataset}"

    @property
    def standard_error(self) -> float:
        """The standard error of the dense network's validation accuracy, as a fraction; 0 if it is not known."""
        accuracy = self.dense.get("val_accuracy")
        if accuracy is None or not self.val_samples:
            return 0.0
        return math.sqrt(accuracy * (1 - accuracy) / self.val_samples)

    @property
    def published(self) -> tuple[ReferencePoint, ...]:
        """The source's points on this network and dataset."""
        return self.reference.points_on(self.model, self.dataset) if self.reference else ()


def comparisons_of(rows: Sequence[Row], reference: Reference | None = None) -> list[Comparison]:
    """One comparison for every network and dataset that has trials, in order of appearance."""
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
        of = next(of for row in rows if ((of := row.work.baseline).model, of.dataset) == (model, dataset))
        facts = facts_of(of)
        samples = facts.sizes.get("val") if facts else None
        found.append(Comparison(model, dataset, here, dense, reference if is_about else None, of.title, samples))
    return found
