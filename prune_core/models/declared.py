"""Networks declared in configuration: multi-layer perceptrons and plain convolutional networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from prune_core.errors import UserError
from prune_core.models.base import ModelInfo
from prune_core.models.initializers import Initializer, derived_seed, read_initializer
from prune_core.models.layers import LayerPlan, convolution, dense, dropout, flatten, max_pool
from prune_core.settings import Settings

if TYPE_CHECKING:
    import keras

ACTIVATIONS = ("relu", "elu", "gelu", "leaky_relu", "selu", "sigmoid", "silu", "softplus", "tanh")
_COMMON = ("activation", "use_bias", "kernel_initializer", "bias_initializer", "dropout")
_BLOCK = ("filters", "kernel", "strides", "padding", "pool")

Chain = tuple[LayerPlan, ...]


@dataclass(frozen=True)
class DeclaredNetwork:
    """The builder of a chain of layers that a function works out from the configuration.

    Attributes:
        plan: (settings, input shape, classes) -> the layers after the input; raises UserError.
        keys: the keys that the configuration has besides those that all chains share.
    """

    plan: Callable[[Settings, tuple[int, ...], int], Chain]
    keys: tuple[str, ...]

    def check(self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> ModelInfo:
        """See `Builder.check`."""
        chain, _ = self._read(name, config, input_shape, classes)
        kernel_layers = tuple(layer.name for layer in chain if layer.parameters)
        macs = sum(layer.parameters * prod(layer.shape[:-1]) for layer in chain)  # once at every position
        return ModelInfo(kernel_layers, sum(layer.parameters for layer in chain), macs=macs)

    def build(
        self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, seed: int
    ) -> "keras.Model":
        """See `Builder.build`: a functional model from "input" to the logits "output"."""
        import keras

        chain, initializers = self._read(name, config, input_shape, classes)
        inputs = tensor = keras.Input(tuple(input_shape), name="input")
        for layer in chain:
            arguments = dict(layer.arguments)
            if layer.parameters:
                for role, initializer in initializers.items():
                    make = getattr(keras.initializers, initializer.kind)
                    arguments[role] = make(**initializer.keras_arguments(seed, layer.name, role))
            if layer.kind == "Dropout":
                arguments["seed"] = derived_seed(seed, layer.name)
            tensor = getattr(keras.layers, layer.kind)(name=layer.name, **arguments)(tensor)
        return keras.Model(inputs, tensor, name=name)

    def _read(
        self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int
    ) -> tuple[Chain, dict[str, Initializer]]:
        settings = Settings(f"models.{name}", config, (*self.keys, *_COMMON))
        defaults = {"kernel_initializer": {"name": "he_normal"}, "bias_initializer": {"name": "zeros"}}
        initializers = {
            role: read_initializer(f"{settings.where}.{role}", config.get(role, default))
            for role, default in defaults.items()
        }
        try:
            return self.plan(settings, tuple(input_shape), classes), initializers
        except UserError as error:
            if str(error).startswith(settings.where):
                raise
            raise UserError(f"{settings.where} cannot take samples of shape {tuple(input_shape)}: {error}") from None


def plan_mlp(settings: Settings, input_shape: tuple[int, ...], classes: int) -> Chain:
    """Keys: `hidden`, the units of each hidden layer. Images are flattened first."""
    before = [flatten("flatten", input_shape)] if len(input_shape) > 1 else []
    shape = before[-1].shape if before else input_shape
    return (*before, *_head(settings, settings.counts("hidden"), shape, classes))


def plan_cnn(settings: Settings, input_shape: tuple[int, ...], classes: int) -> Chain:
    """Keys: `convolutions`, a list of blocks (`filters`, `kernel`, `strides`, `padding`, `pool`); `dense`, the units
    of each hidden layer after them."""
    blocks = settings.values.get("convolutions")
    if not isinstance(blocks, list | tuple) or not blocks:
        raise settings.error("convolutions", "must be a list of blocks with the keys " + ", ".join(_BLOCK))
    if len(input_shape) != 3:
        raise UserError("convolutions need images of (height, width, channels), so choose an mlp model")
    layers: list[LayerPlan] = []
    shape: tuple[int, ...] = input_shape
    for number, values in enumerate(blocks, start=1):
        block = Settings(f"{settings.where}.convolutions[{number - 1}]", values, _BLOCK)
        layers.append(
            convolution(
                f"conv_{number}",
                shape,
                filters=block.count("filters"),
                kernel=block.count("kernel"),
                strides=block.count("strides", 1),
                padding=block.choice("padding", ("same", "valid"), "valid"),
                use_bias=settings.flag("use_bias", True),
                activation=settings.choice("activation", ACTIVATIONS, "relu"),
            )
        )
        pool = block.count("pool", 1)
        if pool > 1:
            layers.append(max_pool(f"pool_{number}", layers[-1].shape, pool))
        shape = layers[-1].shape
    layers.append(flatten("flatten", shape))
    return (*layers, *_head(settings, settings.counts("dense"), layers[-1].shape, classes))


def _head(settings: Settings, hidden: tuple[int, ...], shape: tuple[int, ...], classes: int) -> Chain:
    """Hidden dense layers, dropout after the last of them, and the logits."""
    use_bias = settings.flag("use_bias", True)
    activation = settings.choice("activation", ACTIVATIONS, "relu")
    rate = settings.number("dropout", 0.0, low=0.0, high=1.0)
    layers = []
    for number, units in enumerate(hidden, start=1):
        layers.append(dense(f"dense_{number}", shape, units, use_bias, activation))
        shape = layers[-1].shape
    if rate > 0:
        layers.append(dropout("dropout", shape, rate))
    return (*layers, dense("output", shape, classes, use_bias, None))


MLP = DeclaredNetwork(plan_mlp, ("hidden",))
CNN = DeclaredNetwork(plan_cnn, ("convolutions", "dense"))
