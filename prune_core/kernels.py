"""The kinds of Keras layers that multiply with a kernel: one table for all modules that have to agree on them.

Finding the kernels of a network (`prune_core.weights`), reading them from a file without Keras
(`prune_core.models.keras_kernels`), counting multiply-accumulates (`prune_core.measure.macs`) and reading a network's
outputs (`prune_core.tasks.output_graph`) follow from a row here. Plan-time: no Keras.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Places(Enum):
    """The places of one sample at which each element of a kernel is used once."""

    VECTORS = "the vectors of the output"
    OUTPUT_POSITIONS = "the spatial positions of the output"
    INPUT_POSITIONS = "the spatial positions of the input"
    EINSUM = "the axes of the input that the equation does not give the kernel"
    ONCE = "one place"


@dataclass(frozen=True)
class KernelKind:
    """A layer class of Keras that has kernels.

    Attributes:
        kernels: attributes that hold them, in the order in which a weights file has them.
        places: where each of their elements is used.
        is_cell: whether it is a step of a recurrent layer: its kernels are not followed by its activation alone.
    """

    kernels: tuple[str, ...]
    places: Places
    is_cell: bool = False


_SEPARABLE = KernelKind(("depthwise_kernel", "pointwise_kernel"), Places.OUTPUT_POSITIONS)
_CELL = KernelKind(("kernel", "recurrent_kernel"), Places.ONCE, is_cell=True)

KERNEL_KINDS: Mapping[str, KernelKind] = {
    "Dense": KernelKind(("kernel",), Places.VECTORS),
    "EinsumDense": KernelKind(("kernel",), Places.EINSUM),
    **{f"Conv{n}D": KernelKind(("kernel",), Places.OUTPUT_POSITIONS) for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": KernelKind(("kernel",), Places.INPUT_POSITIONS) for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": KernelKind(("kernel",), Places.OUTPUT_POSITIONS) for n in (1, 2)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    **{f"{name}Cell": _CELL for name in ("LSTM", "GRU", "SimpleRNN")},
    "ConvLSTMCell": KernelKind(_CELL.kernels, Places.OUTPUT_POSITIONS, is_cell=True),
}
"""Layers by the name of their class."""

KERNEL_ATTRIBUTES = tuple(dict.fromkeys(name for kind in KERNEL_KINDS.values() for name in kind.kernels))
"""All attributes under which layers, a user's too, keep what they multiply their input with."""
