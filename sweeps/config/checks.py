"""Checks of single configuration values; each names the key at fault."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.process import is_utf8

T = TypeVar("T")


def typed(cls: type[T], where: str, values: Mapping[str, Any]) -> T:
    """`values` as an instance of a flat dataclass; OmegaConf checks the types. Raises UserError."""
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), dict(values)))  # type: ignore[return-value]
    except ConfigKeyError as error:
        name = str(error.full_key).split(".")[0]
        raise UserError(f"{prefix}{name} is not a key: {closest(name, known)}") from None
    except OmegaConfBaseException as error:
        problem = str(error.msg).splitlines()[0]
        raise UserError(f"{prefix}{error.full_key} has a value of the wrong type: {problem}") from None


def folder(key: str, value: Any) -> Path:
    """An absolute folder; "~" is the home folder. Raises UserError if `value` does not name a folder."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UserError(f"{key}={value!r} is not a folder: name one")
    path = os.path.abspath(os.path.expanduser(value))
    if not is_utf8(path):
        raise UserError(f"{key}={value!r} is in a folder whose name is not UTF-8: name another one")
    return Path(path)


def at_least(key: str, value: int | None, least: int) -> None:
    """Raise UserError unless `value` is None or at least `least`."""
    if value is not None and value < least:
        raise UserError(f"{key}={value} must be a whole number >= {least}")


def positive(key: str, value: float | None) -> None:
    """Raise UserError unless `value` is None or finite and above 0."""
    if value is not None and not 0 < value < math.inf:
        raise UserError(f"{key}={value:g} must be a number > 0")


def amount(key: str, value: float) -> None:
    """Raise UserError unless Ray takes `value` as the amount of a resource: a fraction up to 1, or a whole number."""
    if not 0 <= value < math.inf or (value > 1 and value != int(value)):
        raise UserError(f"{key}={value:g} must be a fraction up to 1, or a whole number")


def one_of(key: str, value: str, known: Sequence[str]) -> None:
    """Raise UserError unless `value` is one of `known`."""
    if value not in known:
        raise UserError(f"{key}={value!r} is not one of its values: {closest(value, known)}")
