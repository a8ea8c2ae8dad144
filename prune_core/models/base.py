"""What a network builder is. Plan-time: no TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prune_core.data.values import RawInput
from prune_core.tasks import CompiledLoss

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network before it is built.

    Attributes:
        kernel_layers: names of the layers that hold a kernel, in order, the output layer's last
            (`prune_core.weights.PrunableLayer.name`).
        parameters: number of weights of the network: kernels, biases, BatchNormalization's four vectors.
        fingerprint: sha256 of the file that the network comes from; None where the configuration says everything.
        macs: multiply-accumulates for one sample, biases counted as one each; None where only building tells.
        trained: whether the network comes with its final weights, so that it is evaluated but not trained.
        output_kernels: how many of the last of `kernel_layers` make the output.
        kernel_sizes: number of weights of each of `kernel_layers`, None where it is not known; () if no size is known.
        inner_kernels: those of `kernel_layers` that lie inside of a wrapper, a recurrent or an attention layer, where
            weights can be pruned but no units.
        raw: why it takes numbers as they are stored, pixels of 0 to 255 for instance; None: it takes [0, 1].
        hold_zeros: whether weights of its kernels that are zero stay zero in training.
        loss: what it was compiled with, which tells how its outputs are read where its graph cannot.
    """

    kernel_layers: tuple[str, ...]
    parameters: int
    fingerprint: str | None = None
    trained: bool = False
    macs: int | None = None
    output_kernels: int = 1
    kernel_sizes: tuple[int | None, ...] = ()
    inner_kernels: frozenset[str] = frozenset()
    raw: RawInput | None = None
    hold_zeros: bool = False
    loss: CompiledLoss | None = None


class Builder(Protocol):
    """A way to make networks from configuration; `prune_core.models.BUILDERS` names them.

    Both functions take the name of the model (`models.<name>` in messages), its configuration without the key
    `builder`, the shape of one sample and the number of classes. `check` must not import TensorFlow. A network takes
    (batch, *input_shape), or the same with a last axis of length 1 more or less. It gives (batch, classes), logits or
    probabilities, or for two classes (batch, 1), the logit or the probability of class 1:
    `prune_core.tasks.output_kind`.
    """

    def check(self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> ModelInfo:
        """What the network would be. Raises UserError where it cannot be built or cannot take the data."""

    def build(
        self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, seed: int
    ) -> "keras.Model":
        """The network; equal arguments give equal weights, bit for bit. Raises UserError as `check` does."""
