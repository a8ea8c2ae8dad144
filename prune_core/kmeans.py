"""Optimal k-means of plain numbers: sorted, a dynamic program, then Lloyd's algorithm on all values. NumPy only."""

from dataclasses import dataclass

import numpy as np

from prune_core.errors import UserError

# The dynamic program chooses among this many places to cut; up to so many distinct values it is exact.
_MAX_CUTS = 4096
# Its time and memory grow with the number of clusters: beyond so many, clusters are split greedily instead.
_MAX_PLANNED = 1024
_MAX_LLOYD_STEPS = 100


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

    A dynamic program over at most 4096 candidate cuts of the sorted values, then Lloyd's algorithm on prefix sums of
    all values; optimal where there are at most 4096 distinct values and k is at most 1024. In one dimension clusters
    are intervals, and the best last cut moves right with the end of the interval (Wu 1991; Grönlund et al. 2017,
    arXiv:1701.07204), so that each layer of the program is found by divide and conquer.

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
        raise UserError("values to cluster must be finite: the network's weights hold NaN or infinity, train it anew")
    points = _Points.of(flat)
    if points.values.size == 0:
        return Codebook(np.zeros(0, dtype), np.zeros(values.shape, np.int64))
    own = k >= points.values.size
    cuts = np.arange(points.values.size + 1) if own else _lloyd(points, _first_cuts(points, k))
    centers, place = np.unique(points.means(cuts).astype(dtype), return_inverse=True)
    cluster = np.searchsorted(points.values[cuts[1:-1]], flat, side="right")
    return Codebook(centers, place[cluster].reshape(values.shape))


@dataclass(frozen=True)
class _Points:
    """Distinct values in ascending order with prefix sums, so that any interval's mean and cost take one subtraction.

    Sums are taken about the mean of all values: squares of numbers that share a large offset would cancel.
    """

    values: np.ndarray
    offset: float
    count: np.ndarray
    total: np.ndarray
    square: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "_Points":
        distinct, counts = np.unique(values, return_counts=True)
        offset = float(values.mean()) if values.size else 0.0
        centered = distinct - offset
        sums = [np.concatenate([[0.0], np.cumsum(counts * centered**power)]) for power in range(3)]
        return cls(distinct, offset, *sums)

    def means(self, cuts: np.ndarray) -> np.ndarray:
        """Mean of each interval between neighbouring cuts; none may be empty."""
        means = np.diff(self.total[cuts]) / np.diff(self.count[cuts]) + self.offset
        return np.clip(means, self.values[cuts[:-1]], self.values[cuts[1:] - 1])


def _lloyd(points: _Points, cuts: np.ndarray) -> np.ndarray:
    """Move the cuts to the middle between neighbouring means until nothing moves; the cost never grows."""
    for _ in range(_MAX_LLOYD_STEPS):
        means = points.means(cuts)
        moved = cuts.copy()
        moved[1:-1] = np.searchsorted(points.values, (means[1:] + means[:-1]) / 2, side="right")
        if np.array_equal(moved, cuts) or (np.diff(moved) <= 0).any():  # an emptied cluster would be lost
            break
        cuts = moved
    return cuts


def _first_cuts(points: _Points, k: int) -> np.ndarray:
    """k + 1 ascending places among the distinct values, 0 and their number among them."""
    places = _candidate_cuts(points)
    count, total, square = points.count[places], points.total[places], points.square[places]
    cuts = places[_best_partition(count, total, square, min(k, _MAX_PLANNED))]
    while cuts.size < k + 1:
        cuts = _split_further(points, cuts, k + 1 - cuts.size)
    return cuts


def _candidate_cuts(points: _Points) -> np.ndarray:
    """Ascending places: all, or half of 4096 equally many distinct values apart and half equally far (for tails)."""
    size = points.values.size
    if size <= _MAX_CUTS:
        return np.arange(size + 1)
    evenly = np.linspace(0, size, _MAX_CUTS // 2 + 1).astype(np.int64)
    widths = np.linspace(points.values[0], points.values[-1], _MAX_CUTS // 2 + 1)[1:-1]
    return np.union1d(evenly, np.searchsorted(points.values, widths, side="right"))


def _split_further(points: _Points, cuts: np.ndarray, most: int) -> np.ndarray:
    """`cuts` and up to `most` new ones: those clusters that gain most by it are split in two where they gain most."""

    def spread(start: np.ndarray, end: np.ndarray) -> np.ndarray:  # what a mean of its own takes off a cluster's cost
        total = points.total[end] - points.total[start]
        return total * total / np.maximum(points.count[end] - points.count[start], 1)

    owner = np.repeat(np.arange(cuts.size - 1), np.diff(cuts))
    start, end, place = cuts[owner], cuts[owner + 1], np.arange(cuts[-1])
    gain = spread(start, place) + spread(place, end) - spread(start, end)
    gain[cuts[:-1]] = -np.inf  # no cut
    best = np.maximum.reduceat(gain, cuts[:-1])
    hits = np.flatnonzero(gain == best[owner])
    first = hits[np.searchsorted(hits, cuts[:-1])]
    chosen = np.argsort(-best, kind="stable")[:most]
    return np.union1d(cuts, first[chosen[np.isfinite(best[chosen])]])


def _best_partition(count: np.ndarray, total: np.ndarray, square: np.ndarray, k: int) -> np.ndarray:
    """Optimal cuts for k clusters among places whose prefix sums are given: k + 1 ascending indices into these.

    least[i] is the cost of the best way to split everything before place i into the clusters so far.
    """
    ends = count.size - 1
    least = np.full(ends + 1, np.inf)
    least[1:] = square[1:] - total[1:] ** 2 / count[1:]
    last_cuts = []
    for clusters in range(2, k + 1):
        least, last_cut = _one_more_cluster(least, count, total, square, clusters)
        last_cuts.append(last_cut)
    cuts = [ends]
    for last_cut in reversed(last_cuts):
        cuts.append(int(last_cut[cuts[-1]]))
    return np.array([0, *reversed(cuts)])


def _one_more_cluster(
    least: np.ndarray, count: np.ndarray, total: np.ndarray, square: np.ndarray, clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """(least cost, place of the last cut) for every end, given the least costs with one cluster less.

    Divide and conquer, all ends of one level at a time: the best last cut lies between those of the ends on both sides
    that are known already, so that a level costs about as many evaluations as there are places.
    """
    size = least.size
    partial = least - square  # square[end] is common to all cuts of an end and added after the minimum
    result = np.full(size, np.inf)
    best = np.zeros(size, np.int32)
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
        span = np.repeat(total[end], widths) - total[cut]
        costs = partial[cut] - span * span / (np.repeat(count[end], widths) - count[cut])
        minima = np.minimum.reduceat(costs, start)
        hits = np.flatnonzero(costs == np.repeat(minima, widths))
        best[end] = cut[hits[np.searchsorted(hits, start)]]
        result[end] = minima + square[end]
    return result, best
