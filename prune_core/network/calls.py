"""What a call in a Keras graph takes: tensors to compute with, and masks that say which positions of them count.

Masks reach a layer as its argument `mask` (or `query_mask` and the like). Keras makes them by itself for
`Embedding(mask_zero=True)` and `Masking`, by operations such as `not_equal` that stand in the graph although nobody
wrote them. A mask chooses positions; it carries no channels and no relevance.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from prune_core.network.keras_internals import attach_mask, calls_of


def data_tensors(node: Any) -> list[keras.KerasTensor]:
    """The symbolic tensors that a node of a graph takes, except masks, in the order of `node.input_tensors`."""
    return _tensors(node, masks=False)


def mask_tensors(node: Any) -> list[keras.KerasTensor]:
    """The symbolic tensors that a node of a graph takes as masks."""
    return _tensors(node, masks=True)


def nodes_for_masks(graph: Any) -> set[int]:
    """`id` of those nodes of a graph whose results reach its outputs as masks only."""
    needed = {id(tensor) for tensor in graph.outputs}
    found = set()
    for node in reversed(list(calls_of(graph))):
        if any(id(tensor) in needed for tensor in node.outputs):
            needed |= {id(tensor) for tensor in data_tensors(node)}
        else:
            found.add(id(node))
    return found


def attach_masks(model: keras.Model, inputs: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Attach the masks of a call of a functional model to its inputs, for the layers inside, as Keras does."""
    named = {**dict(zip(_names(model), args, strict=False)), **kwargs}
    for tensor, mask in zip(inputs, keras.tree.flatten(named.get("mask")), strict=False):
        if mask is not None and keras.ops.is_tensor(tensor):
            attach_mask(tensor, mask)


def with_mask(tensor: Any, mask: Any) -> Any:
    """`tensor` with a mask attached, unless it is None."""
    if mask is not None:
        attach_mask(tensor, mask)
    return tensor


def _tensors(node: Any, *, masks: bool) -> list[keras.KerasTensor]:
    names = [*_names(node.operation), *[""] * len(node.arguments.args)]
    args = [value for name, value in zip(names, node.arguments.args, strict=False) if _is_mask(name) == masks]
    kwargs = {name: value for name, value in node.arguments.kwargs.items() if _is_mask(name) == masks}
    return [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]


def _names(operation: keras.Operation) -> list[str]:
    return list(inspect.signature(operation.call).parameters)


def _is_mask(name: str) -> bool:
    return name == "mask" or name.endswith("_mask")
