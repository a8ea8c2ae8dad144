"""What a selection gets, and how one is run: checked scores in, what stays out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.axes import SELECTIONS, Selection
from prune_core.entries import REQUIRED
from prune_core.errors import UserError
from prune_core.granularities.base import Group


@dataclass(frozen=True)
class SelectionContext:
    """The scores of a whole network and what is asked for.

    Attributes:
        groups: scores in groups, in the order of the network (see `prune_core.granularities.Group`).
        parameters: of the selection, those not given at their defaults. A list with one value a layer comes as a
            mapping {layer name: value}: `value_for` reads both.
    """

    groups: Sequence[Group]
    parameters: Mapping[str, Any]


def run_selection(entry: Selection, groups: Sequence[Group], parameters: Mapping[str, Any]) -> list[np.ndarray]:
    """For each group what stays, bool arrays of the shape of its scores; what was removed before stays removed.

    Raises:
        UserError: scores that are not numbers.
    """
    if not groups:
        return []  # no selection has to think of a network of which nothing can be removed
    for group in groups:
        check_numbers(group)
    found = entry.load()(SelectionContext(groups, parameters))
    return [group.with_one_kept(kept & ~group.removed) for group, kept in zip(groups, found, strict=True)]


def check_numbers(group: Group) -> None:
    """Raise UserError if a score is not a number."""
    if np.isnan(group.scores).any():
        count = np.count_nonzero(np.isnan(group.scores))
        raise UserError(
            f"{group.name}: {count} of {group.scores.size} scores are not a number: train with a lower learning rate"
        )


def select(
    selection: str, scores: np.ndarray, *, keep_one: bool = False, name: str = "scores", **parameters: Any
) -> np.ndarray:
    """The weights or units of one layer that stay, where there is no other.

    Args:
        selection: name in `SELECTIONS`.
        scores: any shape; higher matters more.
        keep_one: if everything would go, keep the highest score, of equal ones the last.
        name: what the scores belong to, for messages.
        parameters: of the selection: sparsity, threshold, ...; those that it does not have are ignored.

    Returns:
        Bool array of the shape of `scores`, True = kept.

    Raises:
        UserError: unknown selection, missing or impossible parameter, scores that are not numbers.
    """
    entry = SELECTIONS.get(selection)
    values = {}
    for key, parameter in entry.parameters.items():
        value = parameters.get(key, parameter.default)
        if value is REQUIRED:
            raise UserError(f"{key} is missing: selection={selection} needs it")
        values[key] = value
    group = Group(name, scores, np.zeros(np.shape(scores), bool), (), keep_one)
    return run_selection(entry, [group], values)[0]


def value_for(value: Any, group: Group) -> Any:
    """A parameter's value for a group: the same for all, or the largest of those of the group's layers."""
    if not isinstance(value, Mapping):
        return value
    return max(value[layer.name] for layer in group.layers if layer.name in value)


def all_but_lowest(scores: np.ndarray, k: int) -> np.ndarray:
    """Remove exactly the k lowest scores, of equal ones those that come first; bool of their shape, True = kept."""
    flat = scores.ravel()
    kept = np.ones(flat.size, dtype=bool)
    if k:
        highest = np.partition(flat, k - 1)[k - 1]
        kept[flat < highest] = False
        ties = np.flatnonzero(flat == highest)
        kept[ties[: k - np.count_nonzero(flat < highest)]] = False
    return kept.reshape(scores.shape)


Rule = Callable[[np.ndarray, Any], np.ndarray]
"""A rule for one layer: `(scores, value of its parameter) -> kept`; what was removed before is not shown to it."""


def per_layer(ctx: SelectionContext, rule: Rule, parameter: str) -> list[np.ndarray]:
    """A rule for single layers applied to each group, with the group's value of `parameter`."""
    found = []
    for group in ctx.groups:
        value = value_for(ctx.parameters[parameter], group)
        if not group.removed.any():
            found.append(rule(group.scores, value))
            continue
        kept = np.zeros(group.scores.shape, dtype=bool)
        kept[~group.removed] = rule(group.scores[~group.removed], value)
        found.append(kept)
    return found
