"""What a wrapper, a recurrent or an attention layer calls when it is called: its parts, on which shapes, how often."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras

from prune_core.network.keras_internals import projection
from prune_core.network.shapes import Shape


@dataclass(frozen=True)
class PartCall:
    """Calls of a layer (or model) inside another one.

    Attributes:
        part: the layer or model.
        given, made: shapes of its input and its output, with the batch axis.
        times: how often it is called so for each sample; None if the network leaves that open.
    """

    part: keras.layers.Layer
    given: Shape
    made: Shape
    times: int | None


def called_parts(layer: keras.layers.Layer, given: Shape, made: Shape) -> list[PartCall] | None:
    """The calls that one call of a layer consists of; None for a layer that is not known to consist of others.

    Args:
        layer: of the network.
        given, made: shapes of its first input and its first output, with the batch axis.
    """
    for kinds, parts in _PARTS:
        if isinstance(layer, kinds):
            return list(parts(layer, given, made))
    return None


def _time_distributed(layer: keras.layers.TimeDistributed, given: Shape, made: Shape) -> Iterator[PartCall]:
    yield PartCall(layer.layer, (given[0], *given[2:]), (made[0], *made[2:]), given[1])


def _bidirectional(layer: keras.layers.Bidirectional, given: Shape, made: Shape) -> Iterator[PartCall]:
    """Both directions together make more channels than one of them; only the places count, and these are the same."""
    yield PartCall(layer.forward_layer, given, made, 1)
    yield PartCall(layer.backward_layer, given, made, 1)


def _recurrent(layer: keras.layers.RNN, given: Shape, made: Shape) -> Iterator[PartCall]:
    step = (made[0], *made[2:]) if layer.return_sequences else made
    is_stacked = isinstance(layer.cell, keras.layers.StackedRNNCells)
    for cell in layer.cell.cells if is_stacked else [layer.cell]:
        yield PartCall(cell, (given[0], *given[2:]), step, given[1])


def _spectral(layer: keras.layers.SpectralNormalization, given: Shape, made: Shape) -> Iterator[PartCall]:
    yield PartCall(layer.layer, given, made, 1)


def _attention(layer: keras.layers.MultiHeadAttention, given: Shape, made: Shape) -> Iterator[PartCall]:
    """Its projections; products of queries, keys and values with each other have no weights."""
    built = (layer.get_build_config() or {}).get("shapes_dict", {})  # it is built on each of its inputs
    value = built.get("value_shape") or given
    key = built.get("key_shape") or value
    source = [(given[0], *shape[1:]) if None not in shape[1:] else given for shape in (key, value)]
    for name, shape in (("query", given), ("key", source[0]), ("value", source[1]), ("gate", given)):
        if (part := projection(layer, name)) is not None:
            yield PartCall(part, shape, part.compute_output_shape(shape), 1)
    output = projection(layer, "output")
    assert output is not None
    heads = (*given[:-1], *output.kernel.shape[:-1])
    yield PartCall(output, heads, output.compute_output_shape(heads), 1)


_layers = keras.layers
_PARTS = (
    (_layers.TimeDistributed, _time_distributed),
    (_layers.Bidirectional, _bidirectional),
    (_layers.SpectralNormalization, _spectral),
    ((_layers.MultiHeadAttention, _layers.GroupQueryAttention), _attention),
    (_layers.RNN, _recurrent),
)
