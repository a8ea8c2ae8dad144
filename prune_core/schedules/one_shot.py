"""All at once, on the trained network."""

from collections.abc import Iterator

from prune_core.pruning import Progress, Pruning


def one_shot(pruning: Pruning) -> Iterator[Progress]:
    """Select, remove, recover."""
    pruning.select()
    yield Progress(0.0, "pruned", {"sparsity": pruning.sparsity()})
    yield from pruning.recover()
