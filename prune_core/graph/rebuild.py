"""Build a network again with some of its channels left out."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import keras
import numpy as np

from prune_core.errors import UserError
from prune_core.graph.classes import ChannelClasses
from prune_core.network.keras_internals import forget_calls, given_output_shape, maker_of, pack_inputs, pack_outputs
from prune_core.network.layer_state import hand_over_policy, hand_over_state
from prune_core.network.places import layers_inside, places_in, weight_variables
from prune_core.network.shared_weights import share_again, shared_weights
from prune_core.network.walk import GraphStep, functional_graph, inner_graph, run_graph


@dataclass(frozen=True)
class Rebuilt:
    """A network, and {id of a layer of it: its bias in float64, before rounding} for each bias that was changed."""

    model: keras.Model
    biases: Mapping[int, np.ndarray]


def rebuild(model: keras.Model, classes: ChannelClasses, kept: np.ndarray, biases: Mapping[int, np.ndarray]) -> Rebuilt:
    """A functional copy of a network without the channels of some classes.

    Args:
        model: stays as it is.
        classes: from `channel_classes(model)`.
        kept: bool (classes,).
        biases: {id of a layer: (units,) added to its bias}; a layer without a bias gets one.

    Raises:
        UserError: a layer cannot be copied because it has no `get_config`.
    """
    with blank_duplicates() as duplicate:
        builder = _Builder(classes, kept, biases, duplicate)
        result = builder.build(model.name, functional_graph(model))
    hand_over_policy(model, result)
    share_again(result, shared_weights(model))
    _copy_trainable(model, result, builder.copies)
    return Rebuilt(result, builder.exact_biases)


Duplicate = Callable[..., Any]
"""`duplicate(layer, changes=None)`: a fresh layer (or bare operation) of its configuration except for `changes`.

Raises UserError for a layer that has no `get_config` that its constructor understands.
"""


@contextmanager
def blank_duplicates() -> Iterator[Duplicate]:
    """Gives a `Duplicate` for layers that get their weights from elsewhere as soon as they are built.

    Those built inside the `with` have weights of zero: drawing millions of random numbers takes longer than everything
    else. Afterwards the layers have initialisers as the originals have.
    """
    lent: list[tuple[Any, str, Any]] = []

    def duplicate(original: Any, changes: Mapping[str, Any] | None = None) -> Any:
        layer = _duplicate(original, changes or {})
        for name, value in list(vars(layer).items()):
            if isinstance(value, keras.initializers.Initializer):
                lent.append((layer, name, value))
                setattr(layer, name, keras.initializers.Zeros())
        return layer

    try:
        yield duplicate
    finally:
        for layer, name, initializer in lent:
            setattr(layer, name, initializer)


def _duplicate(original: Any, changes: Mapping[str, Any]) -> Any:
    if isinstance(original, keras.layers.Lambda):  # its config would have to be unmarshalled
        return _duplicate_lambda(original)
    try:
        config = {**original.get_config(), **changes}
        if "activation" in config and isinstance(original.activation, FunctionType):
            config["activation"] = original.activation  # a user's function does not survive its config
        duplicate = type(original).from_config(config)
        duplicate.name = original.name  # a config that Keras gathers by itself may lack it
        return duplicate
    except (NotImplementedError, TypeError) as error:
        raise UserError(
            f"layer '{original.name}' ({type(original).__name__}) cannot be copied: give it a get_config that "
            "names all arguments of its constructor, and keep lambdas out of them"
        ) from error


class _Builder:
    def __init__(
        self, classes: ChannelClasses, kept: np.ndarray, biases: Mapping[int, np.ndarray], duplicate: Duplicate
    ) -> None:
        self.copies: dict[int, tuple[Any, Any]] = {}  # id of an original: (original, copy)
        self.exact_biases: dict[int, np.ndarray] = {}  # by id of a copy
        self._classes = classes
        self._kept = kept
        self._biases = biases
        self._duplicate_layer = duplicate

    def build(self, name: str, graph: Any) -> keras.Model:
        inputs = [self._input(tensor) for tensor in graph.inputs]
        outputs = run_graph(graph, inputs, self._visit, enter=False)
        return keras.Model(
            pack_inputs(graph, inputs),
            pack_outputs(graph, outputs),
            name=name,
        )

    def _input(self, tensor: Any) -> Any:
        shape = tuple(tensor.shape)
        ids = self._classes.tensors.get(id(tensor))
        if ids is not None:
            shape = (*shape[:-1], int(self._kept[ids].sum()))
        config = maker_of(tensor).get_config()
        config.pop("shape", None)
        return keras.layers.InputLayer(**{**config, "batch_shape": shape}).output

    def _visit(self, step: GraphStep) -> list[Any]:
        original = step.operation
        is_new = id(original) not in self.copies
        if is_new:
            inner = inner_graph(step)
            duplicate = self._duplicate(original) if inner is None else self.build(original.name, inner)
            hand_over_policy(original, duplicate)
            self.copies[id(original)] = (original, duplicate)
            is_new = inner is None
        duplicate = self.copies[id(original)][1]
        args, kwargs = step.arguments()
        outputs: list[Any] = keras.tree.flatten(duplicate(*args, **kwargs))
        if is_new:
            self._copy_weights(original, duplicate)
        return outputs

    def _duplicate(self, original: Any) -> Any:
        changes = self._changes(original)
        if not isinstance(original, keras.layers.Layer) and not changes:  # many bare operations have no config
            duplicate = copy.copy(original)
            forget_calls(duplicate)
            return duplicate
        return self._duplicate_layer(original, changes)

    def _changes(self, original: Any) -> dict[str, Any]:
        trace = self._classes.traces.get(id(original))

        def count(value: Any) -> Any:
            return int(self._kept[value].sum()) if isinstance(value, np.ndarray) else value

        changes = {key: _map_tuple(count, value) for key, value in trace.traced.config.items()} if trace else {}
        if id(original) in self._biases:
            changes["use_bias"] = True
        return changes

    def _copy_weights(self, original: Any, duplicate: Any) -> None:
        if not isinstance(original, keras.layers.Layer):
            return
        trace = self._classes.traces.get(id(original))
        axes_of = {id(getattr(original, k)): axes for k, axes in trace.traced.weights.items()} if trace else {}
        sources = {place.path: place.variable for place in places_in(original)}
        is_cut = False
        for place in places_in(duplicate):
            if place.path not in sources:
                continue  # the bias of a layer that had none
            value = np.asarray(keras.ops.convert_to_numpy(sources[place.path]))
            axes = axes_of.get(id(sources[place.path]))
            for axis, ids in enumerate(axes.ids if axes else ()):
                if ids is not None and not self._kept[ids].all():
                    value = np.take(value, np.flatnonzero(self._kept[ids]), axis=axis)
                    is_cut = True
            place.variable.assign(value)
        self._add_bias(original, duplicate)
        _copy_states(duplicate if is_cut else original, duplicate)

    def _add_bias(self, original: Any, duplicate: Any) -> None:
        added = self._biases.get(id(original))
        if added is None:
            return
        trace = self._classes.traces.get(id(original))
        added = added[self._kept[trace.traced.outputs[0]]] if trace else added
        bias = np.asarray(keras.ops.convert_to_numpy(duplicate.bias), dtype=np.float64)
        exact = added + (bias if original.bias is not None else 0)
        duplicate.bias.assign(exact.astype(duplicate.bias.dtype))
        self.exact_biases[id(duplicate)] = exact


def _copy_states(original: Any, duplicate: Any) -> None:
    hand_over_state(original, duplicate)
    copies = dict(layers_inside(duplicate))
    for path, layer in layers_inside(original):
        if path in copies:
            hand_over_policy(layer, copies[path])
            hand_over_state(layer, copies[path])


def _map_tuple(function: Any, value: Any) -> Any:
    return tuple(function(item) for item in value) if isinstance(value, tuple) else function(value)


def _duplicate_lambda(original: Any) -> Any:
    return keras.layers.Lambda(
        original.function,
        output_shape=given_output_shape(original),
        mask=original.mask,
        arguments=original.arguments,
        name=original.name,
        dtype=original.dtype_policy,
        trainable=original.trainable,
    )


def _copy_trainable(model: keras.Model, result: keras.Model, copies: Mapping[int, tuple[Any, Any]]) -> None:
    """Freeze what is frozen.

    Models come first, outer ones before inner ones, because setting a model's flag sets the flags of everything in it;
    then come layers, then single weights.
    """
    pairs = [
        (model, result),
        *(pair for pair in reversed(list(copies.values())) if isinstance(pair[0], keras.layers.Layer)),
    ]
    is_model = [isinstance(original, keras.Model) for original, _ in pairs]
    for wanted in (True, False):
        for (original, duplicate), found in zip(pairs, is_model, strict=True):
            if found is wanted and duplicate.trainable != original.trainable:
                duplicate.trainable = original.trainable
    targets = weight_variables(result)
    for path, source in weight_variables(model).items():
        if path in targets and targets[path].trainable != source.trainable:
            targets[path].trainable = source.trainable
