"""Reading a model's configuration: every key is known, typed and in range, or one sentence says which is not."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prune_core.errors import UserError
from prune_core.registry import closest


class Settings:
    """A mapping that is read key by key; all errors name the key by its full path.

    Args:
        where: path of the mapping in the configuration, e.g. "models.lenet_5".
        values: the mapping.
        known: the keys that it may have.

    Raises:
        UserError: `values` is no mapping or has another key.
    """

    def __init__(self, where: str, values: Any, known: Sequence[str]) -> None:
        if not isinstance(values, Mapping):
            raise UserError(f"{where}={values!r} must be a mapping with the keys {', '.join(known)}")
        for key in values:
            if key not in known:
                raise UserError(f"{where}.{key} is not a setting here: {closest(str(key), known)}")
        self.where = where
        self.values = values

    def error(self, key: str, requirement: str) -> UserError:
        """The refusal of a key's value; to be raised."""
        if key not in self.values:
            return UserError(f"{self.where}.{key} is missing: it {requirement}")
        return UserError(f"{self.where}.{key}={self.values[key]!r} {requirement}")

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """A whole number >= `least`."""
        value = self.values.get(key, default)
        if not _is_count(value, least):
            raise self.error(key, f"must be a whole number >= {least}")
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers >= 1, possibly empty."""
        value = self.values.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(_is_count(n, 1) for n in value):
            raise self.error(key, "must be a list of whole numbers >= 1")
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def number(self, key: str, default: float | None, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high)."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < high:
            bounds = "a number" if math.isinf(low) else f"a number in [{low:g}, {high:g})"
            raise self.error(key, f"must be {bounds}")
        return float(value)

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of `choices`."""
        value = self.values.get(key, default)
        if value not in choices:
            raise self.error(key, f"must be one of its values: {closest(str(value), choices)}")
        return value


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
