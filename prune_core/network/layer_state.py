"""What a layer keeps beside its weights, handed over by Keras's own protocol for saving and loading."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from prune_core.network.keras_internals import own_weights


def hand_over_policy(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    """Give a model the dtype policy that another was made under; a new model has that of the process."""
    if isinstance(target, keras.Model) and target.dtype_policy != source.dtype_policy:
        target.dtype_policy = source.dtype_policy


def hand_over_state(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    """Give a layer what another of its kind keeps beside its weights: what it computes from them, vocabularies.

    Layers inside it are not looked at. `source` may be `target` itself, whose weights were set from outside: it then
    computes again what follows from them. Weights of `target` stay as they are.
    """
    if type(target).load_own_variables is not keras.layers.Layer.load_own_variables:
        weights = [(weight, keras.ops.convert_to_numpy(weight)) for weight in own_weights(target)]
        store: dict[str, Any] = {}
        with suppress(ValueError):  # weights were changed by hand: a comparison finds later what the layer lacks
            source.save_own_variables(store)
            target.load_own_variables({key: _array(value) for key, value in store.items()})
        for weight, value in weights:  # layers that merge or pack weights to save them would have changed some
            if keras.ops.convert_to_numpy(weight).tobytes() != value.tobytes():
                weight.assign(value)
    if source is not target and hasattr(source, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            source.save_assets(folder)
            if any(Path(folder).iterdir()):
                target.load_assets(folder)


def _array(value: Any) -> np.ndarray:
    """What a stored value is when it is read from a file."""
    return np.asarray(keras.ops.convert_to_numpy(value) if isinstance(value, keras.Variable) else value)
