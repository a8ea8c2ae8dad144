"""The honest size of a network: all that is needed to get exactly this model back, compressed by standard codecs.

Keras is imported when a name that needs it is first used; `prune_core.codec.arrays` is NumPy only.
"""

from typing import Any

__all__ = ["decode", "encode", "size_bytes"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from prune_core.codec import container

    return getattr(container, name)
