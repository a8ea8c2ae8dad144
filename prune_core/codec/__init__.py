"""The honest size of a network: all that is needed to get exactly this model back, compressed by standard codecs."""

from prune_core.codec.container import decode, encode, size_bytes

__all__ = ["decode", "encode", "size_bytes"]
