"""Versions of single computations: raising one causes the results that depend on it to be made again, and no others.

A version is raised by hand when a computation gives other numbers than before, and the change is listed in
CHANGELOG.md. An entry of an axis carries its own (`Entry.version`), so that packages that add one can raise theirs.
Plan-time: no TensorFlow.
"""

from prune_core.entries import Entry
from prune_core.spec import MethodSpec

GIVEN_NETWORK = 2
"""How a network from a file is copied, trained and evaluated."""


def versions_of_network(is_given: bool) -> dict[str, int]:
    """The versions of those computations of a dense network that have changed since their first version."""
    return _raised({"given_network": GIVEN_NETWORK if is_given else 1})


def versions_of_method(spec: MethodSpec) -> dict[str, int]:
    """The versions of those computations of a method that have changed since their first version: {name: version}."""
    parts: list[tuple[str, Entry | None]] = [
        (f"score.{spec.score}", spec.score_entry),
        (f"granularity.{spec.granularity}", spec.granularity_entry),
        (f"selection.{spec.selection}", spec.selection_entry if spec.schedule_entry.selects else None),
        (f"schedule.{spec.schedule}", spec.schedule_entry),
        *((f"recovery.{entry.name}", entry) for entry in spec.recovery_entries),
        *((entry.name, entry) for entry in spec.transform_entries),
    ]
    return _raised({name: entry.version for name, entry in parts if entry is not None})


def _raised(versions: dict[str, int]) -> dict[str, int]:
    """First versions are left out, so that keys from before a computation had a version stay valid."""
    return {name: version for name, version in versions.items() if version > 1}
