"""Where relevance starts. Without TensorFlow, for whoever plans."""

STARTS = ("uniform", "output")
"""At the outputs of every sample: the same at each output, or in proportion to |output|."""
