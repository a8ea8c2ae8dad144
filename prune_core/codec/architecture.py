"""A network's architecture as JSON, from which it can be built again without running anything of its author's."""

import json
from dataclasses import astuple
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.places import layers_inside
from prune_core.sharing import Shared, share_again, shared_weights

# Of the package keras, the parts whose classes only describe a network. Keras itself refuses the rest's functions.
_MODULES = {"layers", "models", "ops", "initializers", "regularizers", "constraints", "dtype_policies", "quantizers"}
# Layers that carry code or load files.
_REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function", "__lambda__"}


# Beside what Keras writes: the weights that layers share, which Keras would make anew for each of them.
_SHARED = "shared_weights"


def describe(model: keras.Model) -> str:
    """The architecture of a built functional or Sequential model, without optimizer, loss and metrics.

    Raises:
        UserError: a subclassed or unbuilt model, or a layer that `rebuild` could not make from this text alone.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"a {type(model).__name__} cannot be stored: give a Keras model, such as result.model")
    if not isinstance(model, keras.Sequential) and type(model).__name__ != "Functional":
        raise UserError(f"model {model.name!r} is subclassed: only functional and Sequential models can be stored")
    if not model.built:
        raise UserError(f"model {model.name!r} has no weights yet: give it an Input first")
    for path, layer in layers_inside(model):
        if hasattr(layer, "save_assets"):
            raise UserError(f"layer {path!r} ({type(layer).__name__}) keeps a vocabulary: preprocess outside the model")
    config = json.loads(model.to_json())
    config.pop("compile_config", None)
    _refuse_code(config)
    if shared := shared_weights(model):
        config[_SHARED] = [list(astuple(one)) for one in shared]
    return json.dumps(config, separators=(",", ":"))


def rebuild(text: str) -> keras.Model:
    """The model that `describe` described, its weights fresh. Nothing but Keras's own classes is ever called.

    Raises:
        UserError: the text is not such a description.
    """
    try:
        config = json.loads(text)
        _refuse_code(config)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"architecture of the encoded model is no JSON ({error}): encode the model again") from error
    if not isinstance(config, dict) or "compile_config" in config:
        raise UserError("architecture of the encoded model does not describe a network: encode the model again")
    shared = _shared(config.pop(_SHARED, []))
    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:  # Keras raises whatever the first wrong value leads to
        raise UserError(f"Keras {keras.__version__} cannot build the encoded model: {error}") from error
    if not isinstance(model, keras.Model):
        raise UserError("architecture of the encoded model does not describe a network: encode the model again")
    share_again(model, shared)
    return model


def _shared(entries: Any) -> list[Shared]:
    try:
        shared = [Shared(str(path), str(first), bool(keeps_own)) for path, first, keeps_own in entries]
    except (TypeError, ValueError):
        raise UserError("encoded model: its list of shared weights is none: encode the model again") from None
    return shared


def _refuse_code(config: Any) -> None:
    """Raise UserError for anything in a Keras config that is not one of Keras's own declarative classes."""
    if isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        if name in _REFUSED or not (module is None or _is_declarative(module)):
            raise UserError(
                f"{name} of {module} needs code that is not Keras's own: only built-in layers can be stored"
            )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _refuse_code(value)


def _is_declarative(module: Any) -> bool:
    if not isinstance(module, str):
        return False
    parts = [part for part in module.split(".") if part != "src"]
    return parts[0] == "keras" and (len(parts) == 1 or parts[1] in _MODULES)
