"""What the outputs of a classifier can be. No TensorFlow is needed."""

from enum import Enum


class OutputKind(Enum):
    """One number a class, or one number for two classes; the values are the names in results."""

    LOGITS = "logits"
    """(N, classes); their softmax tells how likely each class is."""
    PROBABILITIES = "probabilities"
    """(N, classes), of a softmax or of one sigmoid a class; they are made to sum to 1."""
    BINARY_LOGIT = "logit of class 1"
    """(N, 1) or (N,); above 0 it is class 1, else class 0."""
    BINARY_PROBABILITY = "probability of class 1"
    """(N, 1) or (N,); above 0.5 it is class 1, else class 0."""

    @property
    def is_binary(self) -> bool:
        """Whether one number tells two classes apart."""
        return self in (OutputKind.BINARY_LOGIT, OutputKind.BINARY_PROBABILITY)

    @property
    def is_probability(self) -> bool:
        """Whether the numbers lie between 0 and 1."""
        return self in (OutputKind.PROBABILITIES, OutputKind.BINARY_PROBABILITY)

    @property
    def boundary(self) -> float:
        """Above it, a binary output says class 1."""
        return 0.5 if self.is_probability else 0.0
