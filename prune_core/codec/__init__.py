"""The honest size of a network: all that is needed to get exactly this model back, compressed by standard codecs.

`prune_core.codec.arrays` is NumPy only.
"""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.codec.container import decode as decode
    from prune_core.codec.container import encode as encode
    from prune_core.codec.container import size_bytes as size_bytes

_HOMES = {
    "decode": "container",
    "encode": "container",
    "size_bytes": "container",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
