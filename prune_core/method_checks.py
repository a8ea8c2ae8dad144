"""Whether the parameters of a method fit the entries that it chooses. Plan-time: no TensorFlow."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from prune_core.axes import AXES, TRANSFORMS, Transform
from prune_core.entries import REQUIRED, Entry
from prune_core.errors import UserError
from prune_core.method_keys import SWITCHES, owners_of
from prune_core.registry import closest

Spec = Any
"""A `MethodSpec` under construction: its entries are chosen, its parameters are not checked yet."""


def checked_parameters(
    spec: Spec, given: Mapping[str, Any], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The given parameters, checked: (those of the entries, those of the score).

    A name that both the score and another entry have means the other entry; `options` reaches the score's.
    """
    values: dict[str, Any] = {}
    score = spec.score_entry
    for name, value in given.items():
        owners = [entry.parameters[name] for entry in spec.entries if name in entry.parameters]
        if owners:
            for parameter in owners:
                values[name] = parameter.checked(name, value)
        elif score is not None and name in score.parameters and name not in options:
            options[name] = value
        else:
            _refuse(spec, name)
    if score is None:
        for name in options:
            _refuse(spec, name)
        return values, {}
    score.check(spec.granularity)
    return values, score.checked_options(options)


def _refuse(spec: Spec, name: str) -> None:
    """Say why a parameter cannot be given."""
    missing = [wanted for wanted, _ in _missing(spec, {}, {})]
    owners = owners_of(name)
    if owners:
        raise UserError(f"{name} has no effect with {_choice(spec)}: it belongs to {' and '.join(owners)}, remove it")
    if near := get_close_matches(name, missing):
        raise UserError(f"{name!r} is not a parameter: did you mean {near[0]!r}?")
    known = {*SWITCHES, *AXES, *(known for entry in spec.entries for known in entry.parameters)}
    known |= set(spec.score_entry.parameters if spec.score_entry else ())
    raise UserError(f"{name!r} is not a parameter of {_choice(spec)}: {closest(name, known)}")


def _choice(spec: Spec) -> str:
    """The entries of a method as a person chooses them."""
    parts = [f"schedule={spec.schedule}", f"selection={spec.selection}"]
    parts += [f"score={spec.score}"] if spec.is_scored and spec.score_entry and spec.score_entry.parameters else []
    parts += [f"recovery={'+'.join(spec.recoveries)}"] if spec.recoveries else []
    return " ".join(parts)


def _missing(spec: Spec, values: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Parameters that were not given and have no default, each with the entry that needs it."""
    score = [(spec.score_entry, options)] if spec.score_entry else []
    for entry, given in [*((entry, values) for entry in spec.entries), *score]:
        switch = entry.switch if isinstance(entry, Transform) else None
        for name, parameter in entry.parameters.items():
            if (parameter.default is REQUIRED or name == switch) and name not in given:
                yield name, entry


def check_sense(spec: Spec) -> None:
    """Refuse what is missing, and a method that does nothing."""
    for name, _ in _missing(spec, spec.values, spec.options):
        raise UserError(f"{name} is missing: {_choice(spec)} needs it")
    if spec.include_biases and spec.is_scored and spec.granularity_entry.scored_as == "unit":
        raise UserError(
            f"include_biases has no effect with granularity={spec.granularity}, where the bias goes with its unit: "
            "remove it"
        )
    if not (spec.prunes or spec.recoveries or spec.transforms):
        switches = " or ".join(TRANSFORMS.get(name).switch for name in TRANSFORMS)
        raise UserError(
            f"{switches} is missing: with selection={spec.selection} and no recovery there is nothing else to do"
        )
