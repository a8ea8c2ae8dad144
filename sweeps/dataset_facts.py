"""What a plan remembers of a dataset, so that the person's file is not opened again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prune_core.errors import UserError
from sweeps.specs import BaselineSpec

if TYPE_CHECKING:
    from prune_core.data import DatasetInfo


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset as one network gets it.

    Attributes:
        input_shape: of one sample.
        classes: number of classes.
        fingerprint: sha256 (hex) over all that determines the arrays.
        sizes: samples in "train", "val" and "test"; None if it is known only after loading.
    """

    input_shape: tuple[int, ...]
    classes: int
    fingerprint: str
    sizes: Mapping[str, int | None]


def facts_from(info: "DatasetInfo") -> dict[str, Any]:
    """`BaselineSpec.facts` of a dataset, JSON-ready."""
    return {
        "input_shape": list(info.input_shape),
        "classes": info.classes,
        "fingerprint": info.fingerprint,
        "sizes": dict(info.sizes),
    }


def facts_of(baseline: BaselineSpec) -> DatasetFacts | None:
    """What is known of a baseline's dataset.

    Records of earlier versions do not contain it. The dataset is then described again, and the answer is None if its
    file no longer exists.
    """
    if baseline.facts:
        return _read(baseline.facts)
    return _described(baseline.dataset, json.dumps(baseline.dataset_config, sort_keys=True, default=str))


def _read(facts: Mapping[str, Any]) -> DatasetFacts:
    return DatasetFacts(tuple(facts["input_shape"]), facts["classes"], facts["fingerprint"], dict(facts["sizes"]))


@lru_cache(maxsize=64)
def _described(name: str, config: str) -> DatasetFacts | None:
    from prune_core import data

    try:
        return _read(facts_from(data.describe(name, json.loads(config))))
    except UserError:
        return None
