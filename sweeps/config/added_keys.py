"""Which keys of a method may be set on the command line although its file does not have them."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, ListConfig, OmegaConf

from prune_core.axes import AXES, trainers
from prune_core.method_keys import SWITCHES
from prune_core.training.config import KEYS as TRAINING_KEYS

_KEY = re.compile(r"(methods\.\w+)(\.grid|\.options)?\.(\w+)")
_TRAINING = re.compile(r"training\.(\w+)(?:\.(\w+))?")


def is_of_method(override: Override, composed: DictConfig, overrides: Sequence[Override]) -> bool:
    """Whether an override sets an axis, a switch, or a parameter of an entry that the method has or is given, or how a
    schedule or recovery trains.

    Args:
        override: one of the command line.
        composed: the configuration of the chosen files, without the overrides.
        overrides: all of the command line.
    """
    if override.type != OverrideType.CHANGE:
        return False
    if trained := _TRAINING.fullmatch(override.key_or_group):
        return trained[1] in trainers() and trained[2] in (None, *TRAINING_KEYS)
    found = _KEY.fullmatch(override.key_or_group)
    if found is None:
        return False
    where, grid, name = found.groups()
    section = OmegaConf.select(composed, where)
    if not isinstance(section, DictConfig):
        return False
    if name in (*AXES, *SWITCHES, "options") or (not grid and name in (section.get("grid") or {})):
        return True
    return name in _parameters(where, section, overrides)


def _parameters(where: str, section: DictConfig, overrides: Sequence[Override]) -> set[str]:
    """Names of the parameters of every entry that a method names in its file or on the command line."""
    given = {override.key_or_group: override.value() for override in overrides}
    names: set[str] = set()
    for axis, registry in AXES.items():
        values = [section.get(axis), *(section.get("grid") or {}).get(axis, [])]
        values += [given.get(f"{where}.{axis}"), given.get(f"{where}.grid.{axis}"), given.get(axis)]
        for entry in (registry.get(name) for name in _flat(values) if name in registry):
            names |= set(entry.parameters)
    return names


def _flat(values: object) -> list[str]:
    """The texts in nested lists."""
    if isinstance(values, (list, ListConfig)):
        return [name for value in values for name in _flat(value)]
    return [values] if isinstance(values, str) else []
