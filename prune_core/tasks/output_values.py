"""What can be known of the values of a tensor: probabilities, logits, or something else."""

import math
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What numbers mean."""

    PROBABILITIES = "probabilities"
    """Between 0 and 1: how likely something is."""
    LOGITS = "logits"
    """Of any size and sign."""
    LOG_PROBABILITIES = "log-probabilities"
    OTHER = "other"
    """Certainly not one of these: after a ReLU, a tanh."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Values:
    """What is known of the values of one tensor.

    Attributes:
        kind: what they mean.
        total: of probabilities, the factor by which they are too large; 1 where they are probabilities themselves.
        dropout: the dropout that they went through since they were made, or None.
    """

    kind: Kind
    total: float = 1.0
    dropout: str | None = None


UNKNOWN = Values(Kind.UNKNOWN)
LOGITS = Values(Kind.LOGITS)
PROBABILITIES = Values(Kind.PROBABILITIES)


def is_one(total: float) -> bool:
    """Whether probabilities with this factor are probabilities themselves, apart from rounding."""
    return math.isclose(total, 1, rel_tol=1e-6)


def is_probability(values: Values) -> bool:
    """Whether values are probabilities themselves."""
    return values.kind is Kind.PROBABILITIES and is_one(values.total)
