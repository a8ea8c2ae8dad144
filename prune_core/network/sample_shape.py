"""The shape in which a network takes samples: at most an axis of length 1 at the end is added or dropped. Plan-time."""

from collections.abc import Sequence


def fitted_shape(given: Sequence[int], wanted: Sequence[int | None]) -> tuple[int, ...] | None:
    """The shape that samples get for a network, or None if they do not fit it.

    Images without a channel are images of one channel, and a series of numbers is one of a single feature: a last axis
    of length 1 is added or dropped, as the network has it. No value moves.

    Args:
        given: shape of one sample.
        wanted: what the network takes; None for an axis of any length.
    """
    candidates = [tuple(given), (*given, 1)]
    if len(given) > 1 and given[-1] == 1:
        candidates.append(tuple(given[:-1]))
    return next((shape for shape in candidates if fits(shape, wanted)), None)


def fits(given: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether samples of a shape fit an input whose axes may be open (None)."""
    return len(given) == len(wanted) and all(b in (None, a) for a, b in zip(given, wanted, strict=True))
