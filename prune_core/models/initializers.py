"""The weight initialisers that a configuration can name. Plan-time: no TensorFlow."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from prune_core.settings import Settings


@dataclass(frozen=True)
class Initializer:
    """A Keras initialiser as data.

    Attributes:
        kind: name of the class in `keras.initializers`.
        random: whether it takes a seed.
        arguments: its other keyword arguments.
    """

    kind: str
    random: bool
    arguments: dict[str, float] = field(default_factory=dict)

    def keras_arguments(self, seed: int, *names: str) -> dict[str, Any]:
        """Keyword arguments of the class, seeded for the weight called `names` (layer, weight).

        Each weight has a seed of its own: weights do not depend on the order in which they are made.
        """
        return {**self.arguments, "seed": derived_seed(seed, *names)} if self.random else dict(self.arguments)


_NUMBER = {"mean": 0.0, "stddev": None, "value": None}
_TABLE = {
    "glorot_normal": ("GlorotNormal", True, ()),
    "glorot_uniform": ("GlorotUniform", True, ()),
    "he_normal": ("HeNormal", True, ()),
    "he_uniform": ("HeUniform", True, ()),
    "lecun_normal": ("LecunNormal", True, ()),
    "lecun_uniform": ("LecunUniform", True, ()),
    "random_normal": ("RandomNormal", True, ("mean", "stddev")),
    "truncated_normal": ("TruncatedNormal", True, ("mean", "stddev")),
    "constant": ("Constant", False, ("value",)),
    "zeros": ("Zeros", False, ()),
}


def read_initializer(where: str, value: Any) -> Initializer:
    """`{name: truncated_normal, stddev: 0.1}` as an Initializer.

    Raises:
        UserError: unknown name, or numbers that the initialiser lacks or does not take.
    """
    name = Settings(where, value, ("name", *_NUMBER)).choice("name", tuple(_TABLE))
    kind, random, numbers = _TABLE[name]
    settings = Settings(where, value, ("name", *numbers))
    arguments = {number: settings.number(number, _NUMBER[number]) for number in numbers}
    if arguments.get("stddev", 0.0) < 0:
        raise settings.error("stddev", "must be >= 0")
    return Initializer(kind, random, arguments)


def derived_seed(seed: int, *names: str) -> int:
    """A seed in [0, 2**31) for one use of `seed`, independent of all other uses."""
    text = "/".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
