"""Which objects in a serialised Keras model are Keras's own and only describe a network. Plan-time: no Keras."""

from collections.abc import Mapping
from typing import Any

# Of the package keras, the parts whose classes only describe a network.
_PARTS = {
    *("layers", "models", "ops", "initializers", "regularizers", "constraints", "activations"),
    *("dtype_policies", "quantizers", "optimizers", "losses", "metrics"),
}
# Layers that Keras keeps elsewhere: of its application networks, of earlier versions. The rest there are functions.
_LAYERS_ELSEWHERE = ("keras.src.applications.", "keras.src.legacy.layers", "keras._legacy.layers")
_AT_THE_TOP = {"Functional", "Sequential", "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "Quantizer"}
# Values that have no class of their own.
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_CODE = {"Lambda", "__lambda__", "function", "__typespec__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}
_FILES = {"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization", "FeatureSpace"}


def runs_code_or_reads_files(found: Mapping[str, Any]) -> bool:
    """Whether a serialised object carries code, belongs to another framework, or reads files.

    Args:
        found: `{"class_name": ..., "module": ..., "config": ..., "registered_name": ...}`, as Keras writes it.
    """
    return found["class_name"] in _CODE | _FILES


def is_of_keras(found: Mapping[str, Any]) -> bool:
    """Whether a serialised object is of a class of Keras's own, wherever in its package it is, or a plain value."""
    name, module = found["class_name"], found.get("module")
    if name in _VALUES:
        return True
    if not isinstance(module, str) or found.get("registered_name") not in (None, "", name):
        return False
    parts = [part for part in module.split(".") if part != "src"]
    if parts == ["keras"]:
        return name in _AT_THE_TOP
    return (parts[0] == "keras" and parts[1] in _PARTS) or module.startswith(_LAYERS_ELSEWHERE)
