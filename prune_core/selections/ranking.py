"""One ranking over all layers: which layer gives how much is decided by the scores alone."""

import numpy as np

from prune_core.selections.base import SelectionContext, all_but_lowest
from prune_core.selections.counts import nearest_count


def one_ranking(ctx: SelectionContext) -> list[np.ndarray]:
    """Remove exactly round(sparsity * n) of the n scores of the whole network, the lowest of all.

    Han et al. 2015 (arXiv:1506.02626) and Blalock et al. 2020 (arXiv:2003.03033) call it global magnitude pruning where
    the score is the magnitude. Among equal scores, those that come first, in the order of the layers and inside a
    layer, are removed. Where units are removed, the highest unit of each layer always stays, even if fewer are removed
    than asked for.
    """
    sizes = [group.scores.size for group in ctx.groups]
    starts = np.cumsum([0, *sizes])
    ranked = np.concatenate([np.empty(0), *(group.ranked().ravel() for group in ctx.groups)])
    staying = [start + group.must_stay() for start, group in zip(starts, ctx.groups, strict=False)]
    free = np.ones(ranked.size, dtype=bool)
    free[np.concatenate([np.empty(0, np.int64), *staying])] = False
    kept = np.ones(ranked.size, dtype=bool)
    count = min(nearest_count(ctx.parameters["sparsity"], ranked.size), int(free.sum()))
    kept[free] = all_but_lowest(ranked[free], count)
    return [
        part.reshape(group.scores.shape) for part, group in zip(np.split(kept, starts[1:-1]), ctx.groups, strict=True)
    ]
