"""Stratified, seeded splits that are the same with every version of NumPy."""

import numpy as np


def allocate(counts: np.ndarray, total: int, leave: int = 0) -> np.ndarray:
    """How many of `total` samples each class gives, in proportion to its size (largest remainder).

    Args:
        counts: samples of each class, (classes,), each at least `leave` + 1.
        total: samples wanted, in [classes, sum(counts - leave)].
        leave: samples of each class that must not be taken.

    Returns:
        int64 (classes,): at least 1 and at most counts - leave each, `total` together. Ties go to the lower class.

    Raises:
        ValueError: `total` is out of reach.
    """
    counts = np.asarray(counts, np.int64)
    highest = counts - leave
    if not (len(counts) <= total <= highest.sum() and highest.min() >= 1):
        raise ValueError(f"cannot take {total} of {counts.tolist()}, at least 1 and all but {leave} of each")
    quota = counts * (total / counts.sum())
    taken: np.ndarray = np.clip(np.floor(quota).astype(np.int64), 1, highest)
    while (missing := total - int(taken.sum())) != 0:
        step = 1 if missing > 0 else -1
        able = taken < highest if step > 0 else taken > 1
        need = np.where(able, step * (quota - taken), -np.inf)
        # stable sort: among equals the lowest class, on every machine
        chosen = np.argsort(-need, kind="stable")[: min(abs(missing), int(able.sum()))]
        taken[chosen] += step
    return taken


def seeded_order(n: int, seed: int, purpose: int = 0) -> np.ndarray:
    """A random order of range(n), int64 (n,); another one for each `purpose`.

    Made from raw bits of PCG64, whose stream NumPy guarantees for ever, unlike that of `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64([seed, purpose]).random_raw(n), kind="stable")


def stratified_split(y: np.ndarray, second: int, seed: int, leave: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Cut samples into two parts, both with every class in proportion and in random order.

    Args:
        y: class indices, (samples,); every class 0 ... max(y) occurs.
        second: samples in the second part.
        seed: >= 0; equal seeds give equal parts.
        leave: samples of each class that stay in the first part at least.

    Returns:
        Indices of the first part and of the second, int64.

    Raises:
        ValueError: the classes are too small for such parts.
    """
    taken = allocate(np.bincount(y), second, leave)
    drawn = seeded_order(len(y), seed)
    in_second = np.zeros(len(y), bool)
    for label, number in enumerate(taken):
        in_second[drawn[y[drawn] == label][:number]] = True
    # Not in the order drawn: there, the first samples left over are of the classes whose share was complete first.
    order = seeded_order(len(y), seed, purpose=1)
    return order[~in_second[order]], order[in_second[order]]


def part_size(n: int, classes: int, fraction: float, leave: int) -> int:
    """Samples in a fraction of n, with at least 1 of every class inside it and `leave` of every class outside it."""
    return int(np.clip(round(fraction * n), classes, max(n - leave * classes, classes)))
