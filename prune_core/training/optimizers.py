"""Keras's optimizers by the names of `training.optimizer`, without what they do for several devices."""

from collections.abc import Callable
from typing import Any

import keras


class _OneDevice:
    """Leaves out the sum of the gradients over devices.

    Keras 3.15 takes that sum also where there is one device, by an operation whose gradient TensorFlow registers for
    the life of the process, and with it the graph of the training and all that the graph captured: on all of MNIST
    that kept 200 MB a training.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars


class _Adam(_OneDevice, keras.optimizers.Adam):
    pass


class _AdamW(_OneDevice, keras.optimizers.AdamW):
    pass


class _RMSprop(_OneDevice, keras.optimizers.RMSprop):
    pass


class _SGD(_OneDevice, keras.optimizers.SGD):
    pass


OPTIMIZERS: dict[str, Callable[[float], keras.optimizers.Optimizer]] = {
    "adam": _Adam,
    "adamw": _AdamW,
    "momentum": lambda rate: _SGD(rate, momentum=0.9),
    "rmsprop": _RMSprop,
    "sgd": _SGD,
}
"""{name: function of the learning rate}."""
