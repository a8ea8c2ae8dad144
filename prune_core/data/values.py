"""The range of a dataset's numbers, and what a network does to it by itself.

Pixels become [0, 1] for a network that takes such values. A network that begins with a Rescaling or a Normalization, or
that looks its inputs up (Embedding), gets the numbers as they are stored: scaled twice, they mean nothing to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.errors import UserError
from prune_core.settings import Settings

_PIXELS = 255


@dataclass(frozen=True)
class Scaling:
    """What is left to decide of a dataset whose `scale` is `auto`.

    Attributes:
        key: the setting, e.g. "datasets.npz.scale".
        values: what the numbers are, e.g. "uint8".
        divisor: what they are divided by for a network that takes [0, 1].
        problem: one sentence if it cannot be known whether these are pixels; None if they are.
        raw_problem: one sentence if they must not stay as they are, since the splits are of different types.
    """

    key: str
    values: str
    divisor: int
    problem: str | None = None
    raw_problem: str | None = None


@dataclass(frozen=True)
class RawInput:
    """Why a network takes numbers as they are stored.

    Attributes:
        layer: the first of its layers that says so, e.g. "the Rescaling 'rescaling'".
        is_index: whether it looks the numbers up or counts them, so that they must stay whole; else it scales them.
        below: how many numbers it knows, from 0 on; None if it does not say.
    """

    layer: str
    is_index: bool = False
    below: int | None = None


def settled(config: Mapping[str, Any], scaling: Scaling | None, raw: RawInput | None) -> tuple[Mapping[str, Any], str]:
    """A dataset's configuration for one network, and a clause on what becomes of the numbers; "" if that was given.

    Args:
        config: of the dataset.
        scaling: `DatasetInfo.scaling`.
        raw: of the network; None: it takes values of about [0, 1].

    Raises:
        UserError: whole numbers other than bytes for a network that does not say what it takes, or whole numbers in one
            split and fractions in another for one that takes both as they are.
    """
    if scaling is None:
        return config, ""
    if raw is not None and scaling.raw_problem:
        raise UserError(scaling.raw_problem)
    if raw is not None:
        why = f"the network begins with {raw.layer}"
        return {**config, "scale": "none"}, f"{scaling.values} values stay as they are, since {why} ({scaling.key})"
    if scaling.problem:
        raise UserError(scaling.problem)
    return config, f"{scaling.values} values are divided by {scaling.divisor} ({scaling.key})"


def is_kept(settings: Settings) -> bool:
    """Whether the setting `scale` of pixels says `none`: keep the numbers. Where it is absent, it is `auto`.

    Raises:
        UserError: it is something else.
    """
    scale = settings.get("scale")
    if scale not in (None, "auto", "none"):
        raise UserError(f"{settings.path('scale')}={scale!r} is not one of its values: auto, none")
    return bool(scale == "none")


def check_indices(x: np.ndarray, raw: RawInput | None) -> None:
    """Refuse samples that a network cannot look up.

    Raises:
        UserError: fractions, or numbers that the network does not know.
    """
    if raw is None or raw.below is None:
        return
    low, high = float(x.min()), float(x.max())
    is_whole = bool((x == np.floor(x)).all())
    if not is_whole or low < 0 or high >= raw.below:
        found = f"whole numbers from {low:.0f} to {high:.0f}" if is_whole else "fractions"
        raise UserError(
            f"the samples hold {found}, and the network begins with {raw.layer}, which takes whole numbers from 0 to "
            f"{raw.below - 1}: store such numbers"
        )


def range_warning(x: np.ndarray, name: str, config: Mapping[str, Any], raw: RawInput | None) -> str | None:
    """A sentence on numbers that look as if they were meant to be scaled once more, or once less.

    Args:
        x: training samples as the network gets them.
        name: of the dataset.
        config: its configuration, as `settled`.
        raw: of the network.
    """
    low, high = float(x.min()), float(x.max())
    key = f"datasets.{name}.scale"
    if raw is None and config.get("scale") == "auto" and low >= 0 and 1 < high <= _PIXELS:
        return (
            f"the samples range from {low:g} to {high:g} and nothing scales them: set {key}=255 if these are pixels, "
            "and none if the network takes them as they are"
        )
    if raw is not None and not raw.is_index and low >= -1 and high <= 1:
        fix = f"set {key}=none" if str(config.get("scale")) == "255" else f"store what the network takes, or see {key}"
        return (
            f"the samples range from {low:g} to {high:g} and the network scales them again, since it begins with "
            f"{raw.layer}: {fix}"
        )
    return None
