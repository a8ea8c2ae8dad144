"""k-means of one layer's weights: scikit-learn's against ours, by time and by what the clusters leave of the error."""

import time
from typing import Any

import numpy as np

from prune_core.transforms.kmeans import kmeans_1d


def measure(size: int = 1_000_000, k: int = 256) -> dict[str, Any]:
    """scikit-learn's time over ours, for normal weights as after training; both start from nothing, in one process."""
    from sklearn.cluster import KMeans

    weights = np.random.default_rng(0).normal(0, 0.05, size).astype(np.float32)
    kmeans_1d(weights[:1000], 4), KMeans(4, n_init=1).fit(weights[:1000, None])  # what only the first call costs

    started = time.perf_counter()
    book = kmeans_1d(weights, k)
    ours_s = time.perf_counter() - started

    started = time.perf_counter()
    theirs = KMeans(k, n_init=1, random_state=0).fit(weights[:, None])
    scikit_learn_s = time.perf_counter() - started

    inertia_ours, inertia_theirs = (
        float(np.sum((weights.astype(np.float64) - centers.astype(np.float64)[indices]) ** 2))
        for centers, indices in ((book.centers, book.indices), (theirs.cluster_centers_[:, 0], theirs.labels_))
    )
    if inertia_ours > inertia_theirs:
        raise RuntimeError(f"our inertia {inertia_ours:g} is above scikit-learn's {inertia_theirs:g}")
    return {
        "name": "kmeans",
        "ratio": scikit_learn_s / ours_s,
        "target": {"at_least": 20},
        "scikit_learn_s": scikit_learn_s,
        "ours_s": ours_s,
        "inertia_scikit_learn": inertia_theirs,
        "inertia_ours": inertia_ours,
    }


if __name__ == "__main__":
    print(measure())
