"""The dense network of a run, as MLflow logs a model."""

from dataclasses import dataclass
from pathlib import Path

from sweeps.dataset_facts import facts_of
from sweeps.specs import OUTPUTS, Result, Work


@dataclass(frozen=True)
class Network:
    """A network that was saved by Keras.

    Attributes:
        file: *.keras.
        input_shape: of one sample; None for an axis of any length; () if unknown.
        outputs: length of the output; 0 if unknown.
        dtype: of the input.
        digest: sha256 of the file; "" if unknown.
    """

    file: Path
    input_shape: tuple[int | None, ...] = ()
    outputs: int = 0
    dtype: str = "float32"
    digest: str = ""


def network_of(work: Work, result: Result, file: Path) -> Network:
    """The dense network in a result's file."""
    from prune_core.models.keras_file import stored_input
    from prune_core.tasks import OutputKind

    digest, facts = result.files[file.name], facts_of(work.baseline)
    if facts is None:
        return Network(file, digest=digest)
    outputs = result.tags.get(OUTPUTS)
    is_binary = outputs is not None and OutputKind(outputs).is_binary
    shape, dtype = stored_input(file) or (facts.input_shape, "float32")
    return Network(file, shape, 1 if is_binary else facts.classes, dtype, digest)
