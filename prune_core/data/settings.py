"""Reading a dataset's configuration: every value checked, every complaint naming its key."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from prune_core.errors import UserError
from prune_core.registry import Registry, closest

T = TypeVar("T")


class Settings:
    """A mapping from the configuration that knows its own key, for error messages.

    Args:
        values: plain dict, as YAML gives it.
        key: full key of the mapping, e.g. "datasets.mnist".

    Raises:
        UserError: `values` is not a mapping; from every method: the value is missing, of another type or out of range.
    """

    def __init__(self, values: Any, key: str) -> None:
        if not isinstance(values, Mapping):
            raise UserError(f"{key}={values!r} must be a mapping of keys to values")
        self.values = values
        self.key = key

    def path(self, name: str) -> str:
        """Full key of the entry `name`."""
        return f"{self.key}.{name}"

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Raise UserError for the first key that is not among `known`."""
        names = sorted(known)
        for name in self.values:
            if name not in names:
                raise UserError(f"{self.path(str(name))} is not a key of this dataset: {closest(str(name), names)}")

    def get(self, name: str) -> Any:
        """The value of `name`, or None."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """A non-empty string."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, value, "a text")
        return value

    def whole(self, name: str, low: int = 0) -> int:
        """A whole number of at least `low`."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self._wrong(name, value, f"a whole number >= {low}")
        return value

    def positive(self, name: str) -> float:
        """A number above 0."""
        value = self.values.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise self._wrong(name, value, "a number above 0")
        return float(value)

    def fraction(self, name: str) -> float:
        """A number in the open interval (0, 1)."""
        value = self.values.get(name)
        if not isinstance(value, float) or not 0 < value < 1:
            raise self._wrong(name, value, "a number in (0, 1)")
        return value

    def sha256(self, name: str) -> str:
        """64 hexadecimal digits, in lower case."""
        value = self.text(name).lower()
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise self._wrong(name, value, "a sha256: 64 hexadecimal digits")
        return value

    def shape(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers >= 1."""
        value = self.values.get(name)
        if not isinstance(value, list | tuple) or not value or not all(type(n) is int and n >= 1 for n in value):
            raise self._wrong(name, value, "a list of whole numbers >= 1")
        return tuple(value)

    def entry(self, name: str, registry: Registry[T]) -> T:
        """What a registry holds under the name given."""
        try:
            return registry.get(self.text(name))
        except UserError as error:
            raise UserError(f"{self.path(name)}: {error}") from error

    def section(self, name: str) -> "Settings":
        """The mapping under `name`."""
        if self.values.get(name) is None:
            raise self._wrong(name, None, "a mapping of keys to values")
        return Settings(self.values[name], self.path(name))

    def _wrong(self, name: str, value: Any, wanted: str) -> UserError:
        if value is None:
            return UserError(f"{self.path(name)} is missing: set it to {wanted}")
        return UserError(f"{self.path(name)}={value!r} must be {wanted}")
