"""Optimal k-means of plain numbers: sorted, a dynamic program, then Lloyd's algorithm on all values. NumPy only."""

from dataclasses import dataclass

import numpy as np

from prune_core.errors import UserError

# The dynamic program cuts between blocks of values, at most this many; up to this many distinct values it is exact.
_MAX_BLOCKS = 4096
# Where there are more values, there are this many blocks for each cluster, and at least this many in all.
_BLOCKS_PER_CLUSTER = 32
_MIN_BLOCKS = 1024
# Time grows with the number of clusters: beyond this many, clusters are split greedily instead.
_MAX_PLANNED = 1024
_MAX_LLOYD_STEPS = 100
# Squares of numbers beyond 2 ** +-400 leave the range of float64.
_MAX_EXPONENT = 400


@dataclass(frozen=True)
class Codebook:
    """Result of `kmeans_1d`.

    Attributes:
        centers: (clusters,) of the values' floating dtype (float32 for whole numbers), ascending, distinct.
        indices: for every value, of the values' shape, the center it is replaced with; int64.
    """

    centers: np.ndarray
    indices: np.ndarray


def kmeans_1d(values: np.ndarray, k: int) -> Codebook:
    """At most k centers for the least sum of squared distances from every value to its center. Deterministic.

    In one dimension clusters are intervals of the sorted values. A dynamic program finds the best ones (Wu 1991;
    Grönlund et al. 2017, arXiv:1701.07204). It is exact where there are at most 4096 distinct values and k is at most
    1024. Of more values it takes blocks of neighbours, small against the clusters that they are in (see `_blocks`),
    and Lloyd's algorithm on all values follows. Nothing is lost to rounding, however far the values lie apart.

    Args:
        values: finite numbers, of any shape and size.
        k: number of clusters, >= 1. Where there are no more distinct values than that, each is its own center.

    Raises:
        UserError: k below 1, or values that are not finite.
    """
    if k < 1:
        raise UserError(f"n_clusters={k} must be at least 1")
    values = np.asarray(values)
    dtype = values.dtype if values.dtype.kind in "fV" else np.dtype(np.float32)  # V: bfloat16
    flat = values.astype(np.float64).reshape(-1)
    if not np.isfinite(flat).all():
        raise UserError("values to cluster must be finite: the network's weights hold NaN or infinity, train it again")
    if flat.size == 0:
        return Codebook(np.zeros(0, dtype), np.zeros(values.shape, np.int64))
    scale = _scale(flat)
    points = _Points.of(np.ldexp(flat, scale) if scale else flat)
    if k >= points.values.size:
        centers, indices = np.unique(flat, return_inverse=True)
        return Codebook(centers.astype(dtype), indices.reshape(values.shape))
    cuts = _lloyd(points, _first_cuts(points, k))
    means = np.ldexp(points.means(cuts[:-1], cuts[1:]), -scale)
    centers, place = np.unique(means.astype(dtype), return_inverse=True)
    firsts = np.ldexp(points.values[cuts[1:-1]], -scale)
    return Codebook(centers, place[np.searchsorted(firsts, flat, side="right")].reshape(values.shape))


def _scale(flat: np.ndarray) -> int:
    """The power of 2 that brings the largest number to a size whose square is a number, too; 0 for usual sizes."""
    _, exponent = np.frexp(np.abs(flat).max())
    return 0 if abs(int(exponent)) <= _MAX_EXPONENT else _MAX_EXPONENT - int(exponent)


@dataclass(frozen=True)
class _Points:
    """Distinct values in ascending order with prefix sums, so that any interval's mean takes one subtraction.

    What rounding takes from the sums of values is added up in sums of its own: a few large values would else leave
    nothing of the differences between small ones.

    Attributes:
        values: (n,) distinct values.
        count, total, rest: (n + 1,) how many values lie before each place, their sum, and what is missing in that sum.
    """

    values: np.ndarray
    count: np.ndarray
    total: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "_Points":
        ordered = np.sort(values)
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        count = np.append(first, ordered.size)
        after = np.cumsum(ordered)
        before = np.append(0.0, after[:-1])
        added = after - before
        lost = (before - (after - added)) + (ordered - added)  # exactly what after = before + ordered leaves out
        total, rest = (np.append(0.0, sums)[count] for sums in (after, np.cumsum(lost)))
        return cls(ordered[first], count, total, rest)

    def means(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Mean of each interval of places from `start` to before `end`; none may be empty."""
        sums = (self.total[end] - self.total[start]) + (self.rest[end] - self.rest[start])
        return np.clip(sums / (self.count[end] - self.count[start]), self.values[start], self.values[end - 1])  # type: ignore[no-any-return]


def _lloyd(points: _Points, cuts: np.ndarray) -> np.ndarray:
    """Move the cuts to the middle between neighbouring means until nothing moves; the cost never grows."""
    for _ in range(_MAX_LLOYD_STEPS):
        means = points.means(cuts[:-1], cuts[1:])
        moved = cuts.copy()
        moved[1:-1] = np.searchsorted(points.values, (means[1:] + means[:-1]) / 2, side="right")
        if np.array_equal(moved, cuts) or (np.diff(moved) <= 0).any():  # an emptied cluster would be lost
            break
        cuts = moved
    return cuts


def _first_cuts(points: _Points, k: int) -> np.ndarray:
    """k + 1 ascending places among the distinct values, 0 and their number among them."""
    planned = min(k, _MAX_PLANNED)
    places = _blocks(points, min(_MAX_BLOCKS, max(_MIN_BLOCKS, _BLOCKS_PER_CLUSTER * planned)))
    costs = _costs(np.diff(points.count[places]), points.means(places[:-1], places[1:]))
    cuts = places[_best_partition(costs, planned)]
    while cuts.size < k + 1:
        cuts = _split_further(points, cuts, k + 1 - cuts.size)
    return cuts  # type: ignore[no-any-return]


def _blocks(points: _Points, most: int) -> np.ndarray:
    """Ascending places between which values stay together: all of them, or those of about `most` blocks.

    Blocks are halved, first those with the largest product of number of values and squared width, which bounds what a
    block can add to the cost. So blocks become small where that matters: a dense group and a few distant values are
    told apart at any scale, and a smooth density has as many blocks for each cluster everywhere.
    """
    values = points.values
    if values.size <= _MAX_BLOCKS:
        return np.arange(values.size + 1)
    places = np.array([0, values.size])
    while places.size <= most:
        start, last = places[:-1], places[1:] - 1
        width = values[last] - values[start]
        weight = np.diff(points.count[places]) * width**2
        chosen = np.flatnonzero((weight >= weight.max() / 4) & (width > 0))
        chosen = chosen[np.argsort(-weight[chosen], kind="stable")[: most + 1 - places.size]]
        middle = np.searchsorted(values, values[start[chosen]] + width[chosen] / 2, side="right")
        places = np.union1d(places, np.clip(middle, start[chosen] + 1, last[chosen]))
    return places


def _split_further(points: _Points, cuts: np.ndarray, most: int) -> np.ndarray:
    """`cuts` and up to `most` new ones: those clusters that gain most by it are split in two where they gain most."""
    owner = np.repeat(np.arange(cuts.size - 1), np.diff(cuts))
    start, end, place = cuts[owner], cuts[owner + 1], np.arange(cuts[-1])
    inside = place > start
    gain = np.full(place.size, -np.inf)  # at the start of a cluster there is nothing to cut
    start, end, place = start[inside], end[inside], place[inside]
    left, right = points.count[place] - points.count[start], points.count[end] - points.count[place]
    apart = points.means(place, end) - points.means(start, place)
    gain[inside] = left * (right / (left + right)) * apart**2
    best = np.maximum.reduceat(gain, cuts[:-1])
    hits = np.flatnonzero(gain == best[owner])
    first = hits[np.searchsorted(hits, cuts[:-1])]
    chosen = np.argsort(-best, kind="stable")[:most]
    return np.union1d(cuts, first[chosen[np.isfinite(best[chosen])]])


def _costs(weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """costs[end, start]: what the blocks from `start` to before `end` cost as one cluster, for 0 <= start < end.

    That is the sum of squared distances between blocks and their common mean; what is inside of the blocks is the same
    for all partitions and left out. Only sums of positive numbers are formed, so that small costs beside large ones
    are as exact. Other elements are undefined.
    """
    size = mean.size
    costs = np.empty((size + 1, size + 1))
    costs[0, 0] = 0.0
    so_far, center = np.zeros(size), np.zeros(size)  # weight and mean of the blocks from each start to here
    for end in range(1, size + 1):
        own, apart = so_far[:end], mean[end - 1] - center[:end]
        share = weight[end - 1] / (own + weight[end - 1])
        np.add(costs[end - 1, :end], own * share * apart**2, out=costs[end, :end])
        costs[end, end] = 0.0
        center[:end] += share * apart
        own += weight[end - 1]
    return costs


def _best_partition(costs: np.ndarray, k: int) -> np.ndarray:
    """Optimal cuts for k clusters: k + 1 ascending indices into `costs`.

    least[i] is the cost of the best way to split everything before place i into the clusters so far.
    """
    ends = costs.shape[0] - 1
    least = costs[:, 0].copy()
    least[0] = np.inf
    last_cuts = []
    for clusters in range(2, k + 1):
        least, last_cut = _one_more_cluster(least, costs, clusters)
        last_cuts.append(last_cut)
    cuts = [ends]
    for last_cut in reversed(last_cuts):
        cuts.append(int(last_cut[cuts[-1]]))
    return np.array([0, *reversed(cuts)])


def _one_more_cluster(least: np.ndarray, costs: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """(least cost, place of the last cut) for every end, given the least costs with one cluster less.

    Divide and conquer, all ends of one level at a time: the best last cut lies between those of the ends on both sides
    that are known already, so that a level costs about as many evaluations as there are places.
    """
    size = least.size
    result = np.full(size, np.inf)
    best = np.zeros(size, np.int32)
    flat = costs.reshape(-1)
    step = 1 << (size - clusters).bit_length()
    while step := step // 2:
        end = np.arange(clusters + step - 1, size, 2 * step)
        low = np.maximum(clusters - 1, best[end - step])
        above = end + step
        high = np.where(above < size, best[np.minimum(above, size - 1)], size)
        high = np.minimum(high, end - 1)
        widths = high - low + 1
        start = np.concatenate([[0], np.cumsum(widths)[:-1]])
        cut = np.arange(widths.sum()) - np.repeat(start - low, widths)
        sums = least[cut] + flat[np.repeat(end * size, widths) + cut]
        minima = np.minimum.reduceat(sums, start)
        hits = np.flatnonzero(sums == np.repeat(minima, widths))
        best[end] = cut[hits[np.searchsorted(hits, start)]]
        result[end] = minima
    return result, best
