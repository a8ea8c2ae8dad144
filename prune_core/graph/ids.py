"""Channel ids: numbers for channels, and which of them mean the same channel (union-find)."""

import numpy as np


class ChannelIds:
    """Hands out channel ids and remembers which were united. Ids come as int64 arrays, one id a channel."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def new(self, count: int) -> np.ndarray:
        """`count` ids that were never given out before."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count, dtype=np.int64)

    def unite(self, first: np.ndarray, second: np.ndarray) -> None:
        """Make `first[i]` and `second[i]` the same channel, for every i. Shapes must agree."""
        if first.shape != second.shape:
            raise ValueError(f"cannot unite channels of shapes {first.shape} and {second.shape}")
        different = first != second
        for a, b in np.unique(np.stack([first[different], second[different]], axis=-1), axis=0).tolist():
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low

    def classes(self) -> np.ndarray:
        """The class of every id, shape (ids,): 0, 1, ... in the order of each class's first id."""
        roots = np.array([self._root(i) for i in range(len(self._parent))], dtype=np.int64)
        return np.unique(roots, return_inverse=True)[1].astype(np.int64)

    def _root(self, i: int) -> int:
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i
