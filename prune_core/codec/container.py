"""A whole network as one byte string: architecture and every weight; nothing else is needed to get it back.

Layout: magic and version, length of the architecture's JSON, the JSON as a stream, CRC-32 of the weights' paths, dtypes
and shapes (so that values never land in another weight), the arrays in the order of `weight_variables`, CRC-32 of all.
"""

import zlib

import keras

from prune_core.codec.architecture import describe, rebuild
from prune_core.codec.arrays import decode_array, encode_array
from prune_core.codec.former import former_variables
from prune_core.codec.streams import Reader, malformed, pack, pack_number
from prune_core.errors import UserError
from prune_core.graph.agreement import check_agreement
from prune_core.network.layer_state import hand_over_state
from prune_core.network.places import layers_inside, weight_variables

_MAGIC = b"prune-core\x01"
_MAX_ARCHITECTURE = 1 << 26


def encode(model: keras.Model) -> bytes:
    """Everything needed to get exactly this network back: `decode(encode(model))` has the same architecture and
    bit-identical weights (biases and BatchNormalization statistics too, -0.0 and NaN included), and weights that layers
    share are stored once and shared again.

    The state of random generators (Dropout), the optimizer, loss and metrics are left out: inference needs none.

    The bytes are decoded and compared with the network on random inputs before they are returned.

    Raises:
        UserError: a subclassed or unbuilt model, Lambda or custom layers, layers with a vocabulary, or a layer that
            would give other outputs once it is decoded.
    """
    architecture = describe(model).encode()
    variables = weight_variables(model)
    arrays = [encode_array(keras.ops.convert_to_numpy(variable)) for variable in variables.values()]
    parts = [_MAGIC, pack_number(len(architecture)), pack(architecture), _signature(variables), *arrays]
    body = b"".join(parts)
    data = body + _crc(body)
    check_agreement(
        model,
        decode(data),
        "what decode makes of the bytes",
        "it cannot be stored: a layer has state beside its weights and its get_config",
    )
    return data


def decode(data: bytes) -> keras.Model:
    """The network that `encode` wrote, uncompiled. Safe on untrusted bytes: no code in them is ever run.

    Raises:
        UserError: malformed or damaged bytes, or ones of another version.
    """
    if not isinstance(data, bytes):
        raise UserError(
            f"decode takes the bytes that encode returned, not a {type(data).__name__}: read the file first"
        )
    if not data.startswith(_MAGIC[:-1]):
        malformed("it does not begin as one")
    if data[: len(_MAGIC)] != _MAGIC:
        malformed("it is of another version")
    if data[-4:] != _crc(data[:-4]):
        malformed("its checksum is wrong")
    reader = Reader(data[len(_MAGIC) : -4])
    size = reader.number()
    if size > _MAX_ARCHITECTURE:
        malformed("its architecture is too long")
    model = rebuild(reader.stream(size).decode(errors="replace"))
    variables = _announced(model, reader.take(4))
    for variable in variables.values():
        variable.assign(decode_array(reader, variable.shape, keras.ops.convert_to_numpy(variable).dtype))
    reader.end()
    for _, layer in layers_inside(model):
        hand_over_state(layer, layer)
    return model


def size_bytes(model: keras.Model) -> int:
    """How many bytes must be stored to get exactly this network back."""
    return len(encode(model))


def _announced(model: keras.Model, signature: bytes) -> dict[str, keras.Variable]:
    """The weights of a network in the order of the stored arrays, which the signature of their paths tells."""
    for variables in (weight_variables(model), former_variables(model)):
        if signature == _signature(variables):
            break
    else:
        malformed("its weights are not those of its architecture")
    if lost := {id(variable) for variable in model.weights} - {id(variable) for variable in variables.values()}:
        raise UserError(f"encoded model: an earlier version left {len(lost)} weights out of it: encode the model again")
    return variables


def _signature(variables: dict[str, keras.Variable]) -> bytes:
    return _crc("\n".join(f"{path} {v.dtype} {tuple(v.shape)}" for path, v in variables.items()).encode())


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
