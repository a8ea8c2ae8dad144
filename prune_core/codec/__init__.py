"""The honest size of a network: everything needed to get exactly this model back, in as few bytes as standard codecs give."""

from prune_core.codec.container import decode, encode, size_bytes

__all__ = ["decode", "encode", "size_bytes"]
