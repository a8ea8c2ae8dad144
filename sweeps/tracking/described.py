"""The dataset and the dense network of a run, as MLflow describes them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from sweeps.dataset_facts import facts_of
from sweeps.redact import redact_all
from sweeps.specs import OUTPUTS, BaselineSpec, Result, Work

MAX_DIGEST = 36


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as MLflow shows it beside a run; all strings, no arrays."""

    name: str
    digest: str
    source: str
    profile: str


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


def dataset_record(baseline: BaselineSpec) -> DatasetRecord:
    """The dataset of a baseline. The digest stands for all its values, MLflow's own only for the first few samples."""
    config = json.dumps(redact_all(baseline.dataset_config), sort_keys=True, default=str)
    facts = facts_of(baseline)
    if facts is None:  # the person's file is not there any more: the configuration stands for it
        return DatasetRecord(baseline.dataset, hashlib.sha256(config.encode()).hexdigest()[:MAX_DIGEST], config, "{}")
    profile = {"input_shape": list(facts.input_shape), "classes": facts.classes, "samples": dict(facts.sizes)}
    return DatasetRecord(baseline.dataset, facts.fingerprint[:MAX_DIGEST], config, json.dumps(profile))


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
