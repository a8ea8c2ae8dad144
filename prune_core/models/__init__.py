"""Networks to prune: declared in configuration, or a person's own `.keras` file.

    info = check("lenet_300_100", config, (28, 28, 1), 10)
    model = build("lenet_300_100", config, (28, 28, 1), 10, seed=0)

`config` is what `conf/model/<name>.yaml` says, the key `builder` included. A builder of your own is an object with the
two functions of `Builder`; register it with `BUILDERS.register("mine", builder)`, or from another package with the
entry point group `prune_core.models`, and name it in a YAML: `builder: mine`. Importing this package is cheap:
TensorFlow comes with the first `build`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prune_core.errors import UserError
from prune_core.models.base import Builder, ModelInfo
from prune_core.models.declared import CNN, MLP
from prune_core.models.keras_file import KERAS_FILE
from prune_core.registry import Registry

if TYPE_CHECKING:
    import keras

__all__ = ["BUILDERS", "Builder", "ModelInfo", "build", "check"]

BUILDERS: Registry[Builder] = Registry("model builder", "prune_core.models")
BUILDERS.register("mlp", MLP)
BUILDERS.register("cnn", CNN)
BUILDERS.register("keras_file", KERAS_FILE)


def check(name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> ModelInfo:
    """What the network would be, in milliseconds and without TensorFlow.

    Args:
        name: the model's name; messages call its settings `models.<name>`.
        config: its settings, with the key `builder`.
        input_shape: shape of one sample, e.g. (28, 28, 1).
        classes: number of classes.

    Raises:
        UserError: a bad setting, or a network that cannot take the dataset.
    """
    builder, settings = _split(name, config)
    return builder.check(name, settings, tuple(input_shape), classes)


def build(name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, seed: int) -> "keras.Model":
    """The network itself, (batch, *input_shape) -> (batch, classes); arguments and errors as `check`.

    The same `seed` gives the same weights bit for bit, whatever the process did before.
    """
    builder, settings = _split(name, config)
    return builder.build(name, settings, tuple(input_shape), classes, seed)


def _split(name: str, config: Mapping[str, Any]) -> tuple[Builder, dict[str, Any]]:
    if not isinstance(config, Mapping) or not isinstance(config.get("builder"), str):
        raise UserError(f"models.{name}.builder is missing: name one of {', '.join(BUILDERS)}")
    settings = {key: value for key, value in config.items() if key != "builder"}
    return BUILDERS.get(config["builder"]), settings
