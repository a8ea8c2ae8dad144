"""Erdos-Renyi-Kernel: what a layer keeps follows from its shape."""

from collections.abc import Sequence

import numpy as np

from prune_core.granularities.base import Group
from prune_core.selections.base import SelectionContext, all_but_lowest
from prune_core.selections.counts import nearest_count


def erdos_renyi_kernel(ctx: SelectionContext) -> list[np.ndarray]:
    """Keep of each layer a share in proportion to (sum of its kernel's dimensions) / (their product).

    Evci et al. 2020, "Rigging the Lottery" (arXiv:1911.11134), section 3; the shares are scaled such that the network
    as a whole loses `sparsity`, and layers that would keep more than everything are kept whole. Inside a layer the
    lowest scores go, exactly round(share * n) of them, but never all. A bias loses the share of its kernel.
    """
    shares = _densities(ctx.groups, 1 - ctx.parameters["sparsity"])
    return [
        all_but_lowest(group.ranked(), nearest_count(1 - density, group.scores.size))
        for group, density in zip(ctx.groups, shares, strict=True)
    ]


def _densities(groups: Sequence[Group], density: float) -> list[float]:
    """The share of its scores that each group keeps."""
    sizes = np.array([0 if _is_bias(group) else group.scores.size for group in groups], dtype=np.float64)
    raw = np.array([_raw_density(group) for group in groups])
    whole = np.zeros(len(groups), dtype=bool)
    while True:
        rest = density * sizes.sum() - sizes[whole].sum()
        weight = (raw * sizes)[~whole].sum()
        scale = max(rest, 0.0) / weight if weight else 0.0
        beyond = ~whole & (scale * raw > 1)
        if not beyond.any():
            return np.where(whole, 1.0, np.minimum(scale * raw, 1.0)).tolist()  # type: ignore[no-any-return]
        whole |= beyond


def _raw_density(group: Group) -> float:
    """The mean over the group's layers; 1 where there is no layer to tell it."""
    shapes = [tuple(layer.kernel.shape) for layer in group.layers]
    return float(np.mean([sum(shape) / np.prod(shape) for shape in shapes])) if shapes else 1.0


def _is_bias(group: Group) -> bool:
    return bool(group.layers) and group.name == group.layers[0].bias_path
