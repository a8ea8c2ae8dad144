"""What a trial keeps so that a report can draw it without TensorFlow: histograms, codebooks, relevance. NumPy only."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prune_core.data.npz_archive import MalformedNpz, NpzArchive

log = logging.getLogger(__name__)
SUMMARY_FILE = "look.npz"
"""The file among those of a trial's result."""
BINS = 81
MOST_VALUES = 1024
_RELEVANCE = "input_relevance"
_EXAMPLE = "example"


@dataclass(frozen=True)
class Histogram:
    """Counts of one layer's kernel weights in equal bins.

    Attributes:
        edges: (BINS + 1,) bounds of the bins, symmetrical around 0.
        before: (BINS,) counts in the dense network.
        after: (BINS,) counts in the delivered network, zeros left out.
        zeros: weights of the delivered kernel that are exactly zero.
    """

    edges: np.ndarray
    before: np.ndarray
    after: np.ndarray
    zeros: int


@dataclass(frozen=True)
class TrialSummary:
    """What `save` wrote of one trial.

    Attributes:
        histograms: {layer: of its kernel}.
        codebooks: {layer: (values, how many weights have each)}; only for layers of at most MOST_VALUES values.
        relevance: the input's shape, or None.
        example: one input, in the same shape; None where there is no relevance.
    """

    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    codebooks: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    relevance: np.ndarray | None = None
    example: np.ndarray | None = None


def save(
    path: Path,
    dense: Mapping[str, np.ndarray],
    pruned: Mapping[str, np.ndarray],
    by_products: Mapping[str, np.ndarray],
    example: np.ndarray,
) -> None:
    """Write the summary of one trial.

    Args:
        path: of the file, "*.npz".
        dense, pruned: {layer: kernel} of the two networks; shapes may differ.
        by_products: of the pruning; "input_relevance" is kept.
        example: one input, over which the relevance is drawn.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, kernel in pruned.items():
        before, after = dense[name].ravel(), kernel.ravel()
        bound = float(max(np.abs(before).max(initial=0), np.abs(after).max(initial=0))) or 1.0
        edges = np.linspace(-bound, bound, BINS + 1)
        there = after[after != 0]
        arrays[f"edges {name}"] = edges
        arrays[f"before {name}"] = np.histogram(before, BINS, (-bound, bound))[0]
        arrays[f"after {name}"] = np.histogram(there, BINS, (-bound, bound))[0]
        arrays[f"zeros {name}"] = np.array(after.size - there.size)
        if np.unique(after[: 4 * MOST_VALUES]).size > MOST_VALUES:
            continue  # sorting millions of different weights would take longer than the rest
        values, counts = np.unique(after, return_counts=True)
        if values.size <= MOST_VALUES:
            arrays[f"values {name}"], arrays[f"counts {name}"] = values, counts
    if _RELEVANCE in by_products:
        arrays[f"{_RELEVANCE} "], arrays[f"{_EXAMPLE} "] = by_products[_RELEVANCE], example
    np.savez_compressed(path, allow_pickle=False, **arrays)


def load(path: Path) -> TrialSummary:
    """Read a summary; an empty one if the file is missing or cannot be read (results of other versions)."""
    try:
        archive = NpzArchive(path)
        return _summary_of({name: archive.read(name) for name in archive.headers})
    except (MalformedNpz, KeyError, TypeError, ValueError) as error:
        log.debug("%s is not drawn: %s", path, error)
        return TrialSummary()


def _summary_of(arrays: Mapping[str, np.ndarray]) -> TrialSummary:
    layers = [name.partition(" ")[2] for name in arrays if name.startswith("edges ")]
    return TrialSummary(
        histograms={
            layer: Histogram(
                arrays[f"edges {layer}"],
                arrays[f"before {layer}"],
                arrays[f"after {layer}"],
                int(arrays[f"zeros {layer}"]),
            )
            for layer in layers
        },
        codebooks={
            layer: (arrays[f"values {layer}"], arrays[f"counts {layer}"])
            for layer in layers
            if f"values {layer}" in arrays
        },
        relevance=arrays.get(f"{_RELEVANCE} "),
        example=arrays.get(f"{_EXAMPLE} "),
    )
