"""Reading a section of the configuration: every value is known, typed and in range, or one sentence says which is not.

Plan-time: no TensorFlow.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from prune_core.errors import UserError
from prune_core.registry import Registry, closest

T = TypeVar("T")


class Settings:
    """A mapping that is read key by key; all errors name the key by its full path.

    A method with a `default` takes it where the key is absent; without one the key has to be there.

    Args:
        where: path of the mapping in the configuration, e.g. "models.lenet_5".
        values: the mapping, as YAML gives it.
        known: the keys that it may have; None: `refuse_unknown` will be told.

    Raises:
        UserError: `values` is not a mapping or has another key; from every method: the value is missing, of another
            type or out of range.
    """

    def __init__(self, where: str, values: Any, known: Sequence[str] | None = None) -> None:
        if not isinstance(values, Mapping):
            wanted = "a mapping of keys to values" if known is None else f"a mapping with the keys {', '.join(known)}"
            raise UserError(f"{where}={values!r} must be {wanted}")
        self.where = where
        self.values = values
        if known is not None:
            self.refuse_unknown(known)

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Raise UserError for the first key that is not among `known`."""
        names = set(known)
        for key in self.values:
            if key not in names:
                raise UserError(f"{self.path(key)} is not a key here: {closest(str(key), names)}")

    def path(self, key: str) -> str:
        """Full path of a key."""
        return f"{self.where}.{key}"

    def error(self, key: str, requirement: str) -> UserError:
        """The refusal of a key's value; to be raised. `requirement` says what it "must be"."""
        if self.values.get(key) is None:
            return UserError(f"{self.path(key)} is missing: it {requirement}")
        return UserError(f"{self.path(key)}={self.values[key]!r} {requirement}")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, not checked."""
        return self.values.get(key, default)

    def section(self, key: str, known: Sequence[str] | None = None) -> "Settings":
        """The mapping under a key."""
        if self.get(key) is None:
            raise self.error(key, "must be a mapping of keys to values")
        return Settings(self.path(key), self.get(key), known)

    def text(self, key: str) -> str:
        """A non-empty string."""
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, "must be a text")
        return value

    def sha256(self, key: str) -> str:
        """64 hexadecimal digits, in lower case."""
        value = self.text(key).lower()
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise self.error(key, "must be a sha256: 64 hexadecimal digits")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """A whole number >= `least`."""
        value = self.get(key, default)
        if not _is_count(value, least):
            raise self.error(key, f"must be a whole number >= {least}")
        return int(value)

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers >= 1, possibly empty."""
        value = self.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(_is_count(n, 1) for n in value):
            raise self.error(key, "must be a list of whole numbers >= 1")
        return tuple(value)

    def shape(self, key: str) -> tuple[int, ...]:
        """A list of at least one whole number >= 1."""
        shape = self.counts(key)
        if not shape:
            raise self.error(key, "must be a list of whole numbers >= 1")
        return shape

    def number(self, key: str, default: float | None = None, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high)."""
        value = self.get(key, default)
        if not _is_number(value) or not low <= value < high:
            bounds = "a number" if math.isinf(low) else f"a number in [{low:g}, {high:g})"
            raise self.error(key, f"must be {bounds}")
        return float(value)

    def positive(self, key: str) -> float:
        """A finite number above 0."""
        value = self.get(key)
        if not _is_number(value) or not 0 < value < math.inf:
            raise self.error(key, "must be a number above 0")
        return float(value)

    def fraction(self, key: str) -> float:
        """A number in the open interval (0, 1)."""
        value = self.get(key)
        if not isinstance(value, float) or not 0 < value < 1:
            raise self.error(key, "must be a number in (0, 1)")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of `choices`."""
        value = self.get(key, default)
        if value not in choices:
            raise self.error(key, f"must be one of its values: {closest(str(value), choices)}")
        return str(value)

    def entry(self, key: str, registry: Registry[T]) -> T:
        """What a registry holds under the name given."""
        try:
            return registry.get(self.text(key))
        except UserError as error:
            raise UserError(f"{self.path(key)}: {error}") from error


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
