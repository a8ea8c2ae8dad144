"""Named things that users choose from and that other packages can add to."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from prune_core.errors import UserError

T = TypeVar("T")


def closest(name: str, choices: Iterable[str]) -> str:
    """The end of an error sentence: the likeliest intended name, and all choices."""
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(known)}"


class Registry(Generic[T]):
    """A table of named `T`, filled by `register` and by the entry points of installed packages.

    Args:
        kind: what one entry is called in messages, e.g. "score".
        group: entry-point group searched for names that are not registered, e.g. "prune_core.scores".
        is_package: whether our own entries stand in the package that is called like `group`; it is imported when the
            first entry is looked up.
        entry_type: what an entry point has to lead to; None: this is not checked.
    """

    def __init__(self, kind: str, group: str, is_package: bool = False, entry_type: type[T] | None = None) -> None:
        self.kind = kind
        self.group = group
        self._entry_type = entry_type
        self._entries: dict[str, T] = {}
        self._is_waiting = is_package
        self._names: tuple[str, ...] | None = None

    def register(self, name: str, entry: T) -> T:
        """Add `entry` under `name`. Raises ValueError if the name is taken by something else."""
        if self._entries.setdefault(name, entry) is not entry:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._names = None
        return entry

    def remove(self, name: str) -> None:
        """Take an entry out again, e.g. at the end of a test."""
        del self._entries[name]
        self._names = None

    def __call__(self, name: str) -> Callable[[T], T]:
        """`@REGISTRY("name")` registers what it decorates."""
        return lambda entry: self.register(name, entry)

    def get(self, name: str) -> T:
        """The entry called `name`, loading its entry point if need be. Raises UserError if there is none."""
        self._take_in()
        if name not in self._entries:
            for point in entry_points(group=self.group, name=name):
                return self.register(name, self._loaded(point))
            raise UserError(f"unknown {self.kind} {name!r}: {closest(name, self)}")
        return self._entries[name]

    def _loaded(self, point: EntryPoint) -> T:
        """What an entry point leads to. Raises UserError if it cannot be imported, or is not an entry."""
        owner = point.dist.name if point.dist else point.value
        whose = f"{self.kind} {point.name!r} of the installed package {owner}"
        try:
            entry: T = point.load()
        except Exception as error:
            raise UserError(
                f"{whose} cannot be imported ({type(error).__name__}: {error}): repair the package or uninstall it"
            ) from error
        if self._entry_type is not None and not isinstance(entry, self._entry_type):
            raise UserError(
                f"{whose} is a {type(entry).__name__} and must be a {self._entry_type.__name__}: let the entry point "
                f"{point.value} lead to one"
            )
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        yield from self.names()

    def names(self) -> tuple[str, ...]:
        """All names, sorted: those registered and those of installed packages."""
        self._take_in()
        if self._names is None:  # to look through the installed packages takes milliseconds
            self._names = tuple(sorted({*self._entries, *entry_points(group=self.group).names}))
        return self._names

    def _take_in(self) -> None:
        """Import the package of our own entries."""
        if self._is_waiting:
            self._is_waiting = False  # before the import, which registers entries and may look some up
            import_module(self.group)
