"""The loss that a network was compiled with, and what it says about reading the outputs. No TensorFlow is needed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CROSS_ENTROPIES = {
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "kl_divergence",
}
_REGRESSIONS = {
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "poisson",
}
# Keras's short names.
_ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}


@dataclass(frozen=True)
class CompiledLoss:
    """One of Keras's own losses.

    Attributes:
        name: as the function is called, e.g. "binary_crossentropy".
        from_logits: whether it was told to take logits.
    """

    name: str
    from_logits: bool = False

    @property
    def takes_probabilities(self) -> bool | None:
        """Whether it reads outputs as probabilities (True) or as logits (False); None: it reads no classes."""
        return not self.from_logits if self.name in _CROSS_ENTROPIES else None

    @property
    def is_regression(self) -> bool:
        """Whether it compares quantities, not classes."""
        return self.name in _REGRESSIONS


def loss_of(model: Any) -> CompiledLoss | None:
    """The loss of a Keras model; None if it is not compiled, or not with exactly one of Keras's own losses."""
    loss = _single(getattr(model, "loss", None))
    if loss is None or isinstance(loss, str | Mapping):
        return _of_description(loss)
    for kind in type(loss).__mro__ if not hasattr(loss, "__name__") else ():
        if _is_kerass(kind) and kind.__name__ != "LossFunctionWrapper":
            return _named(kind.__name__, getattr(loss, "from_logits", False))
    return _named(loss.__name__) if _is_kerass(loss) and hasattr(loss, "__name__") else None


def loss_of_archive(config: Mapping[str, Any]) -> CompiledLoss | None:
    """The same from the `config.json` of a `.keras` file, which is read and not executed."""
    compiled = config.get("compile_config")
    return _of_description(_single(compiled.get("loss"))) if isinstance(compiled, Mapping) else None


def _single(loss: Any) -> Any:
    """The one loss in a list, a tuple or a dictionary by output; None where there are more."""
    if isinstance(loss, Mapping) and "class_name" not in loss:
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        return _single(loss[0]) if len(loss) == 1 else None
    return loss


def _of_description(loss: Any) -> CompiledLoss | None:
    """A loss given by its name, or as Keras serialises objects and functions."""
    if isinstance(loss, str):
        return _named(loss)
    if not isinstance(loss, Mapping):
        return None
    name, settings = loss.get("class_name"), loss.get("config")
    if name == "function":
        own = loss.get("registered_name") in (None, "function") or loss.get("module") == "builtins"
        return _named(settings) if own and isinstance(settings, str) else None
    if not isinstance(name, str) or not str(loss.get("module", "keras")).startswith("keras"):
        return None
    return _named(name, settings.get("from_logits", False) if isinstance(settings, Mapping) else False)


def _named(name: str, from_logits: Any = False) -> CompiledLoss | None:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return CompiledLoss(_ALIASES.get(snake, {"kldivergence": "kl_divergence"}.get(snake, snake)), from_logits is True)


def _is_kerass(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).split(".")[0] == "keras"
