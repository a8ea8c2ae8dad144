"""What a serialised Keras model says about itself, read from its JSON alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from prune_core.errors import UserError
from prune_core.models.keras_kernels import NESTING
from prune_core.network.keras_objects import is_of_keras, runs_code_or_reads_files

_UNITS = ("units", "filters")
_MAX_DEPTH = 200


def refuse_foreign_objects(path: object, config: Mapping[str, Any]) -> None:
    """Raise UserError if any object in a serialised model is not one of Keras's own harmless ones.

    The compile configuration of the model is left out: it is never loaded. Those of nested models are.
    """
    for found in _objects(path, {key: value for key, value in config.items() if key != "compile_config"}):
        name = found["class_name"]
        if runs_code_or_reads_files(found):
            raise UserError(f"{path} has a {name}, which runs code or reads files: replace it by standard Keras layers")
        if not is_of_keras(found):
            raise UserError(
                f"{path} has the custom object {found.get('registered_name') or name!r} and would need its code: "
                "build it from standard Keras layers"
            )


def _objects(path: object, value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every serialised object inside `value`, itself among them."""
    if depth > _MAX_DEPTH:
        raise UserError(f"{path} is nested more than {_MAX_DEPTH} levels deep: it is not an ordinary network")
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            yield value
        for item in value.values():
            yield from _objects(path, item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(path, item, depth + 1)


def input_shape(model: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Shape of one sample; None unless the model has exactly one input of a shape that is written down."""
    config = model["config"]
    if model["class_name"] == "Sequential":
        shape = config.get("build_input_shape") or config["layers"][0]["config"].get("batch_shape")
    else:
        ends = _ends(config["input_layers"])
        by_name = {layer["config"]["name"]: layer for layer in config["layers"]}
        shape = by_name[ends[0]]["config"].get("batch_shape") if len(ends) == 1 else None
    return tuple(shape[1:]) if shape else None


def count_outputs(model: Mapping[str, Any]) -> int:
    """How many tensors the model gives."""
    return len(_ends(model["config"]["output_layers"])) if model["class_name"] == "Functional" else 1


def output_units(model: Mapping[str, Any]) -> int | None:
    """Units of the layer that makes the output; None if only building the model can tell."""
    config = model["config"]
    layers = config["layers"]
    if model["class_name"] == "Functional":
        ends = _ends(config["output_layers"])
        layers = [layer for layer in layers if layer["config"]["name"] == ends[0]]
    # An activation or a dropout at the end keeps the number of values.
    kept = [layer for layer in layers if layer["class_name"] not in ("Activation", "Softmax", "ReLU", "Dropout")]
    if not kept or (model["class_name"] == "Functional" and len(ends) != 1):
        return None
    last = kept[-1]
    if last["class_name"] in NESTING:
        return output_units(last)
    return next((last["config"][key] for key in _UNITS if key in last["config"]), None)


def output_activation(model: Mapping[str, Any]) -> str | None:
    """Keras's name of the function that makes the output; None if only building the model can tell."""
    layers = model["config"]["layers"]
    if model["class_name"] == "Functional":
        ends = _ends(model["config"]["output_layers"])
        layers = [layer for layer in layers if layer["config"]["name"] == ends[0]]
    last = layers[-1]
    if last["class_name"] in NESTING:
        return output_activation(last)
    has_kernel = any(key in last["config"] for key in _UNITS)
    activation = last["config"].get("activation") if has_kernel or last["class_name"] == "Activation" else None
    return activation if isinstance(activation, str) else None


def _ends(value: Any) -> list[str]:
    """Layer names in `input_layers` or `output_layers`, which is one triple or a structure of them."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        return [value[0]]
    items = value.values() if isinstance(value, dict) else value
    return [name for item in items for name in _ends(item)]
