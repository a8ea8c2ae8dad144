"""What a granularity makes of scores: groups to select from, and masks of what was selected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from prune_core.weights import PrunableLayer

Masks = dict[str, np.ndarray]
"""{weight path: bool array of the weight's shape}, True where the weight is kept."""


@dataclass(frozen=True)
class Group:
    """Scores that are comparable with one another: of the weights of a layer, or of units that belong together.

    Attributes:
        name: what they belong to, for messages.
        scores: any shape; higher matters more.
        removed: bool array of their shape, True where an earlier step has removed it: it stays removed.
        layers: the layers whose weights or units these are; several where layers lose their units together.
        keep_one: whether something has to stay.
        parts: index arrays into the flat scores; of each of them something has to stay as well.
    """

    name: str
    scores: np.ndarray
    removed: np.ndarray
    layers: "tuple[PrunableLayer, ...]"
    keep_one: bool = False
    parts: tuple[np.ndarray, ...] = ()

    def ranked(self) -> np.ndarray:
        """The scores with -inf for what is removed already, so that it is the first to go."""
        return np.where(self.removed, -np.inf, self.scores) if self.removed.any() else self.scores

    def must_stay(self) -> np.ndarray:
        """Flat indices of what has to stay if nothing else of its kind does: the highest score of the whole group (of
        equal ones the last) and of each part (of equal ones the first).
        """
        flat = self.ranked().ravel()
        whole = [flat.size - 1 - int(np.argmax(flat[::-1]))] if self.keep_one and flat.size else []
        return np.array(whole + [int(part[np.argmax(flat[part])]) for part in self.parts], dtype=np.int64)

    def with_one_kept(self, kept: np.ndarray) -> np.ndarray:
        """`kept` with what `must_stay` where everything of its kind would go."""
        if self.keep_one and self.scores.size and not kept.any():
            kept = kept.copy()
            kept.flat[self.must_stay()[0]] = True
        for part in self.parts:
            if not kept.flat[part].any():
                kept = kept.copy()
                kept.flat[part[np.argmax(self.ranked().flat[part])]] = True
        return kept


@dataclass(frozen=True)
class Grouping:
    """The scores of a network in groups.

    Attributes:
        groups: in the order of the network.
        masks: gets for each group what is kept (bool, of the shape of its scores), and gives the network's masks.
        kept_whole: {layer: reason} of layers that the granularity has to leave as they are.
    """

    groups: Sequence[Group]
    masks: Callable[[Sequence[np.ndarray]], Masks]
    kept_whole: Mapping[str, str] = field(default_factory=dict)
