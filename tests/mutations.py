"""Hypothesis strategies that damage real files: their bytes, and the structure of the JSON in them."""

import copy
import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

DEEP = "[" * 100_000
"""JSON of a nesting that exhausts the parser's stack."""
_ODD = st.sampled_from(
    [None, True, 0, -1, 1e308, float("nan"), 2**70, "", "x", "../../x", "/etc/passwd", "\0", "\ud800", [], {}, [[]]]
)


def fuzzing(quick: int) -> settings:
    """The same `quick` examples in every run; FUZZ=1000 in the environment takes as many others instead."""
    longer = int(os.environ.get("FUZZ", "0"))
    return settings(max_examples=longer or quick, derandomize=not longer, deadline=None, database=None)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with bytes changed, cut off or added, or noise instead of it."""
    place = st.integers(0, len(content) - 1)
    return st.one_of(
        st.builds(
            lambda at, by: content[:at] + bytes([content[at] ^ by]) + content[at + 1 :], place, st.integers(1, 255)
        ),
        place.map(lambda end: content[:end]),
        st.builds(lambda at, more: content[:at] + more + content[at:], place, st.binary(min_size=1, max_size=9)),
        st.binary(max_size=60),
    )


def altered(value: Any) -> st.SearchStrategy[Any]:
    """A JSON value with one to three of its parts replaced by odd ones, renamed or taken out."""
    return st.lists(
        st.tuples(st.integers(0, 2**16), st.sampled_from(["replace", "remove", "rename"]), _ODD), min_size=1, max_size=3
    ).map(lambda changes: _altered(value, changes))


def _altered(value: Any, changes: list[tuple[int, str, Any]]) -> Any:
    value = copy.deepcopy(value)
    for number, how, odd in changes:
        places = list(_places(value))
        if not places:
            return odd
        container, key = places[number % len(places)]
        old = container[key]
        if how != "replace":
            del container[key]
        if how == "replace":
            container[key] = copy.deepcopy(odd)  # else a later change puts it into itself
        elif how == "rename" and isinstance(container, dict):
            container[f"{key}?"] = old
    return value


def _places(value: Any) -> Any:
    """(container, key) of every part of a nest of dicts and lists."""
    if isinstance(value, dict | list):
        for key, part in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
            yield value, key
            yield from _places(part)
