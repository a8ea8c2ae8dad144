"""How many scores a fraction means. Plan-time: no NumPy."""

ROUNDING = 1e-9
"""Added to a fraction times a count: 0.29 * 100 = 28.999999999999996 is meant to be 29."""


def count_of(share: float, size: int) -> int:
    """How many of `size` scores a fraction removes: the whole number below, exact for fractions like 0.29."""
    return int(share * size + ROUNDING)


def nearest_count(share: float, size: int) -> int:
    """How many of `size` scores a fraction removes: the nearest whole number, halves up, but never all of them."""
    return max(0, min(int(share * size + 0.5), size - 1))
