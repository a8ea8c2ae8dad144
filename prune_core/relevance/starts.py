"""Where relevance starts. Plan-time: no TensorFlow."""

STARTS = ("uniform", "output")
"""At the outputs of every sample: the same at each output, or in proportion to |output|."""
