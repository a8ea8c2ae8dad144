"""Settings of a machine or user that change results but are not in content keys: here they are always the same.

Keras reads ~/.keras/keras.json and environment variables when it is imported, and TensorFlow reads its own. They are
meant for the user's other programs. Measured on a small convolutional network, each of these changes bits or more:
floatx, image_data_format, epsilon, a dtype policy, KERAS_MAX_STEPS_PER_EPOCH, TF_ENABLE_ONEDNN_OPTS,
TF_DETERMINISTIC_OPS, and the number of threads. For callers of `prune_core` as a library, their own settings hold.
"""

import os
import sys
from types import ModuleType

_BACKEND = "tensorflow"
_READ_BY_LIBRARIES = ("TF_", "KERAS_", "ONEDNN_", "DNNL_")
# Where Keras keeps files, what is logged, and where and with how many threads work is done.
_LEFT_ALONE = ("KERAS_HOME", "TF_CPP_", "TF_NUM_", "TF_GPU_", "TF_FORCE_GPU_ALLOW_GROWTH")


def pin() -> None:
    """Make this process compute as every other. Call it before TensorFlow is imported and before each piece of work.

    Raises:
        RuntimeError: Keras has been imported with another backend.
    """
    for name in [name for name in os.environ if name.startswith(_READ_BY_LIBRARIES)]:
        if not name.startswith(_LEFT_ALONE):
            del os.environ[name]
    os.environ["KERAS_BACKEND"] = _BACKEND
    keras = _keras()
    if keras.config.backend() != _BACKEND:
        raise RuntimeError(f"Keras computes with {keras.config.backend()} in this process, a sweep needs {_BACKEND}")
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    keras.config.set_dtype_policy("float32")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def _keras() -> ModuleType:
    """Keras, imported without its file of settings, which may hold anything; its folder for downloads stays."""
    if "keras" not in sys.modules:
        asked = os.environ.get("KERAS_HOME")
        os.environ["KERAS_HOME"] = os.devnull  # in which there is no file
        try:
            import keras
        finally:
            del os.environ["KERAS_HOME"]
            if asked is not None:
                os.environ["KERAS_HOME"] = asked
        from keras.src.backend import config  # no public way in Keras 3

        config._KERAS_DIR = asked or os.path.join(os.path.expanduser("~"), ".keras")
    import keras

    return keras
