"""Published results as data of a preset (`reference:`), so that a report can show them beside ours.

It is not part of any content key: changing it does not change a result.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.config.axes import canonical

_KEYS = ("source", "dataset", "model", "dense", "points")
_POINT_KEYS = ("method", "axes", "metrics")


@dataclass(frozen=True)
class ReferencePoint:
    """One published result.

    Attributes:
        method: the method that is its counterpart here.
        axes: the grid point of the counterpart, or the part of it that the source states.
        metrics: what was published, by the names of our metrics.
    """

    method: str
    axes: Mapping[str, Any]
    metrics: Mapping[str, float]

    def matches(self, method: str, axes: Mapping[str, Any]) -> bool:
        """Whether a trial of `method` at `axes` is the counterpart: equal on every axis that the source names."""
        return method == self.method and all(
            name in axes and canonical(axes[name]) == canonical(value) for name, value in self.axes.items()
        )


@dataclass(frozen=True)
class Reference:
    """Published results on one network and dataset.

    Attributes:
        source: what a legend calls it.
        dataset, model: names; results on others are not compared with it.
        dense: published metrics of the dense network.
        points: of pruned networks.
    """

    source: str
    dataset: str
    model: str
    dense: Mapping[str, float] = field(default_factory=dict)
    points: tuple[ReferencePoint, ...] = ()

    @classmethod
    def read(cls, section: Any) -> "Reference | None":
        """The section `reference` of a configuration; None where it is null or empty.

        Raises:
            UserError: an unknown or missing key, or a value of the wrong type; names the key.
        """
        if not section:
            return None
        content = _checked("reference", section, _KEYS, needed=("source", "dataset", "model"))
        for key in ("source", "dataset", "model"):
            if not isinstance(content[key], str) or not content[key].strip():
                raise UserError(f"reference.{key}={content[key]!r} must be a text")
        points = content.get("points") or []
        if not isinstance(points, Sequence) or isinstance(points, str):
            raise UserError("reference.points must be a list of {method, axes, metrics}")
        return cls(
            source=content["source"],
            dataset=content["dataset"],
            model=content["model"],
            dense=_numbers("reference.dense", content.get("dense")),
            points=tuple(_point(f"reference.points[{number}]", point) for number, point in enumerate(points)),
        )

    def points_on(self, model: str, dataset: str) -> tuple[ReferencePoint, ...]:
        """The points that results on this network and dataset may be compared with."""
        return self.points if (model, dataset) == (self.model, self.dataset) else ()


def _point(where: str, section: Any) -> ReferencePoint:
    content = _checked(where, section, _POINT_KEYS, needed=("method", "metrics"))
    axes = content.get("axes") or {}
    if not isinstance(axes, Mapping):
        raise UserError(f"{where}.axes={axes!r} must be a mapping")
    return ReferencePoint(str(content["method"]), dict(axes), _numbers(f"{where}.metrics", content["metrics"]))


def _checked(where: str, section: Any, known: Sequence[str], needed: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(section, Mapping):
        raise UserError(f"{where}={section!r} must be a mapping")
    for key in section:
        if key not in known:
            raise UserError(f"{where}.{key} is not a key: {closest(str(key), known)}")
    for key in needed:
        if section.get(key) is None:
            raise UserError(f"{where}.{key} is missing: set it, or leave {where} out")
    return section


def _numbers(where: str, section: Any) -> dict[str, float]:
    values = section or {}
    if not isinstance(values, Mapping):
        raise UserError(f"{where}={values!r} must be a mapping of metrics to numbers")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise UserError(f"{where}.{name}={value!r} must be a number")
    return {str(name): float(value) for name, value in values.items()}
