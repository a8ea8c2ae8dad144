"""What a sweep says of single layers: how much each tolerates alone, and what unequal shares gain over equal ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweeps.config import axis_of
from sweeps.reporting.results import Group
from sweeps.specs import describe_axes

_PREFIX = axis_of("sparsity", "")


@dataclass(frozen=True)
class LayerCurve:
    """One layer pruned alone, all else equal.

    Attributes:
        label: method and what tells this curve from others of the same layer: "weight recovery=finetune".
        layer: its name.
        points: {share of the layer that is removed: group}, ascending.
    """

    label: str
    layer: str
    points: Mapping[float, Group]

    def tolerated(self, tolerance: float) -> float | None:
        """The largest share up to which mean validation accuracy stays within `tolerance` of dense; None: not even
        the least that was tried."""
        best = None
        for share, group in self.points.items():
            if group.val_drop is None or group.val_drop > tolerance + 1e-9:
                break
            best = share
        return best


@dataclass(frozen=True)
class Allocation:
    """The same share of every layer, and unequal shares that make the network no larger, chosen seed by seed.

    Attributes:
        label: method and what else was equal.
        share: of each layer, where they are equal.
        size: weights left, mean over seeds.
        equal: test accuracy with equal shares, one a seed.
        chosen: test accuracy with the unequal shares of highest validation accuracy among those with at most as many
            weights, one a seed.
        shares: {layer: its share of the chosen ones, mean over seeds}.
    """

    label: str
    share: float
    size: float
    equal: tuple[float, ...]
    chosen: tuple[float, ...]
    shares: Mapping[str, float]

    @property
    def gains(self) -> tuple[float, ...]:
        """Test accuracy gained by unequal shares, one a seed."""
        return tuple(after - before for before, after in zip(self.equal, self.chosen, strict=True))


def layer_curves(points: Sequence[Group]) -> list[LayerCurve]:
    """The curves of `search=sensitivity`, in order of appearance."""
    curves: dict[tuple[str, str], dict[float, Group]] = {}
    for group in points:
        shares = layer_shares(group)
        if len(shares) == 1:
            ((layer, share),) = shares.items()
            curves.setdefault((_label(group), layer), {})[share] = group
    return [LayerCurve(label, layer, dict(sorted(found.items()))) for (label, layer), found in curves.items()]


def allocations(points: Sequence[Group]) -> list[Allocation]:
    """Equal shares and what a search layer by layer found instead, seed by seed; in order of method and share."""
    searched = [group for group in points if len(layer_shares(group)) > 1]
    found = []
    for equal in (group for group in searched if _is_equal(group)):
        others = [group for group in searched if _label(group) == _label(equal) and not _is_equal(group)]
        pairs = [(seed, _best(others, seed, _at(equal, "params_nonzero", seed))) for seed in equal.seeds]
        chosen = [(seed, group) for seed, group in pairs if group is not None]
        if chosen:
            found.append(_allocation(equal, chosen))
    return sorted(found, key=lambda allocation: (allocation.label, allocation.share))


def layer_shares(group: Group) -> dict[str, float]:
    """{layer: share} of the axes that belong to a single layer."""
    return {axis[len(_PREFIX) :]: share for axis, share in group.axes.items() if axis.startswith(_PREFIX)}


def _allocation(equal: Group, chosen: Sequence[tuple[int, Group]]) -> Allocation:
    layers = layer_shares(equal)
    return Allocation(
        label=_label(equal),
        share=next(iter(layers.values())),
        size=fmean(_at(equal, "params_nonzero", seed) for seed, _ in chosen),
        equal=tuple(_at(equal, "accuracy", seed) for seed, _ in chosen),
        chosen=tuple(_at(group, "accuracy", seed) for seed, group in chosen),
        shares={layer: fmean(layer_shares(group)[layer] for _, group in chosen) for layer in layers},
    )


def _best(groups: Sequence[Group], seed: int, size: float) -> Group | None:
    small = [group for group in groups if seed in group.seeds and _at(group, "params_nonzero", seed) <= size]
    return max(small, key=lambda group: _at(group, "val_accuracy", seed), default=None)


def _at(group: Group, metric: str, seed: int) -> float:
    return group.metrics[metric][group.seeds.index(seed)]


def _is_equal(group: Group) -> bool:
    return len(set(layer_shares(group).values())) == 1


def _label(group: Group) -> str:
    rest = {axis: value for axis, value in group.axes.items() if not axis.startswith(_PREFIX)}
    return f"{group.method} {describe_axes(rest)}".strip()
