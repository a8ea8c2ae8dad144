"""A network's architecture as JSON, from which it can be built again without running any code of its author."""

import json
from dataclasses import astuple
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.network.keras_objects import is_of_keras, runs_code_or_reads_files
from prune_core.network.places import layers_inside
from prune_core.network.shared_weights import Shared, share_again, shared_weights

# In addition to what Keras writes: the weights that layers share, which Keras would create separately for each of them.
_SHARED = "shared_weights"
# And the dtype policies of models, which Keras would take from the settings of the process.
_POLICIES = "dtype_policies"
_USUAL_POLICY = "float32"


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
    config = _without_training(json.loads(model.to_json()))
    if policies := _policies(model):
        config[_POLICIES] = policies
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
        raise UserError(f"architecture of the encoded model is not JSON ({error}): encode the model again") from error
    if not isinstance(config, dict):
        raise UserError("architecture of the encoded model does not describe a network: encode the model again")
    shared, policies = _shared(config.pop(_SHARED, [])), config.pop(_POLICIES, {})
    try:
        model = keras.saving.deserialize_keras_object(_without_training(config), safe_mode=True)
        if isinstance(model, keras.Model):
            _set_policies(model, policies)
    except UserError:
        raise
    except Exception as error:  # Keras may raise any exception for a wrong value
        raise UserError(f"Keras {keras.__version__} cannot build the encoded model: {error}") from error
    if not isinstance(model, keras.Model):
        raise UserError("architecture of the encoded model does not describe a network: encode the model again")
    share_again(model, shared)
    return model


def _shared(entries: Any) -> list[Shared]:
    try:
        shared = [Shared(str(path), str(first), bool(keeps_own)) for path, first, keeps_own in entries]
    except (TypeError, ValueError):
        raise UserError("encoded model: its list of shared weights cannot be read: encode the model again") from None
    return shared


def _refuse_code(config: Any) -> None:
    """Raise UserError for anything in a Keras config that is not one of Keras's own declarative classes."""
    if isinstance(config, dict):
        if "class_name" in config:
            name, module = config["class_name"], config.get("module")
            if not isinstance(name, str) or runs_code_or_reads_files(config) or not is_of_keras(config):
                raise UserError(
                    f"{name} of {module} needs code that is not Keras's own: only built-in layers can be stored"
                )
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            _refuse_code(value)


def _without_training(config: Any) -> Any:
    """A config without the optimizers, losses and metrics of the model and of those nested in it."""
    if isinstance(config, dict):
        return {key: _without_training(value) for key, value in config.items() if key != "compile_config"}
    return [_without_training(value) for value in config] if isinstance(config, list) else config


def _policies(model: keras.Model) -> dict[str, Any]:
    """{path of a model or nested model: its dtype policy} where not float32; Keras stores only those of layers."""
    models = [("", model), *((path, layer) for path, layer in layers_inside(model) if isinstance(layer, keras.Model))]
    return {
        path: keras.dtype_policies.serialize(one.dtype_policy)
        for path, one in models
        if one.dtype_policy.name != _USUAL_POLICY
    }


def _set_policies(model: keras.Model, policies: Any) -> None:
    models = {path: layer for path, layer in layers_inside(model) if isinstance(layer, keras.Model)} | {"": model}
    if not isinstance(policies, dict) or not policies.keys() <= models.keys():
        raise UserError("encoded model: its dtype policies are not those of its models: encode the model again")
    for path, one in models.items():
        one.dtype_policy = keras.dtype_policies.get(policies.get(path, _USUAL_POLICY))
