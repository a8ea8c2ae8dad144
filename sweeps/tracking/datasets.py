"""The dataset of a run, as MLflow shows it."""

import hashlib
import json
from dataclasses import dataclass

from sweeps.dataset_facts import facts_of
from sweeps.redact import redact_all
from sweeps.specs import BaselineSpec

MAX_DIGEST = 36


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as MLflow shows it beside a run; all strings, no arrays."""

    name: str
    digest: str
    source: str
    profile: str


def dataset_record(baseline: BaselineSpec) -> DatasetRecord:
    """The dataset of a baseline. The digest stands for all its values, MLflow's own only for the first few samples."""
    config = json.dumps(redact_all(baseline.dataset_config), sort_keys=True, default=str)
    facts = facts_of(baseline)
    if facts is None:  # the person's file is not there any more: the configuration stands for it
        return DatasetRecord(baseline.dataset, hashlib.sha256(config.encode()).hexdigest()[:MAX_DIGEST], config, "{}")
    profile = {"input_shape": list(facts.input_shape), "classes": facts.classes, "samples": dict(facts.sizes)}
    return DatasetRecord(baseline.dataset, facts.fingerprint[:MAX_DIGEST], config, json.dumps(profile))
