"""A person's own network in a `.keras` file."""

import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prune_core.errors import UserError
from prune_core.models.base import ModelInfo
from prune_core.models.keras_archive import KerasArchive, read_archive, read_config
from prune_core.models.keras_config import count_outputs, output_activation, output_units, refuse_foreign_objects
from prune_core.models.keras_config import input_shape as archived_input_shape
from prune_core.models.keras_input import input_dtypes, raw_input
from prune_core.models.keras_kernels import stored_kernels
from prune_core.network.sample_shape import fitted_shape
from prune_core.settings import Settings
from prune_core.tasks import CompiledLoss, loss_of_archive

if TYPE_CHECKING:
    import keras


class KerasFile:
    """The builder `keras_file`. Keys: `path`; `sha256` of the file or null; `train`, to train it further, and
    `hold_zeros`, whether what is zero in it stays zero then.
    """

    def check(self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> ModelInfo:
        """See `Builder.check`; nothing of Keras is imported and nothing in the file is executed."""
        settings, archive = _open(name, config)
        where = f"{settings.where}.path={archive.path}"
        try:
            kernels = stored_kernels(archive.config, archive.sizes)
            shape = archived_input_shape(archive.config)
            outputs, units = count_outputs(archive.config), output_units(archive.config)
            activation = output_activation(archive.config)
        except (KeyError, TypeError, IndexError, AttributeError):
            raise UserError(f"{where} is neither a Sequential nor a functional model: save one of these") from None
        if shape is None or fitted_shape(input_shape, shape) is None:
            raise UserError(f"{where} cannot take samples of shape {tuple(input_shape)}: {_taken(input_shape, shape)}")
        if outputs != 1:
            raise UserError(f"{where} gives {outputs} outputs: save a model of the one that tells the class")
        if units is not None and not _fits(units, classes):
            raise UserError(
                f"{where} has {units} outputs for a dataset of {classes} classes: give it a fitting last layer"
            )
        loss = loss_of_archive(archive.config)
        if units == 1 and not _tells_a_class(activation, loss):
            raise UserError(
                f"{where} has one output that is neither a probability nor a logit: end it in a sigmoid, or compile it "
                "with its binary cross-entropy"
            )
        if not kernels:
            raise UserError(f"{where} has no layer with a kernel: there is nothing to prune")
        every = [kernel for layer in kernels for kernel in layer]
        return ModelInfo(
            kernel_layers=tuple(kernel.name for kernel in every),
            parameters=archive.parameters,
            fingerprint=archive.sha256,
            trained=not settings.flag("train", False),
            output_kernels=len(kernels[-1]),
            kernel_sizes=tuple(kernel.size for kernel in every),
            inner_kernels=frozenset(kernel.name for kernel in every if kernel.is_inside),
            raw=raw_input(archive.config, archive.statistics),
            hold_zeros=settings.flag("hold_zeros", True),
            loss=loss,
        )

    def build(
        self, name: str, config: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, seed: int
    ) -> "keras.Model":
        """See `Builder.build`; the weights are the file's, so `seed` changes nothing."""
        self.check(name, config, input_shape, classes)
        path = config["path"]
        try:
            model = load_network(Path(path))
        except UserError as error:
            raise UserError(f"models.{name}.path={error}") from error
        shape = model.output_shape
        if len(shape) != 2 or not _fits(shape[1], classes):
            raise UserError(
                f"models.{name}.path={path} gives {shape} for a dataset of {classes} classes: "
                f"its output must be (None, {classes})" + (" or (None, 1)" if classes == 2 else "")
            )
        return model


def _fits(units: int | None, classes: int) -> bool:
    """Whether so many outputs can tell so many classes apart: one output for each class, or one for two classes."""
    return units == classes or (units == 1 and classes == 2)


def _tells_a_class(activation: str | None, loss: CompiledLoss | None) -> bool:
    """Whether a single output can be that of a classifier, judged by the file."""
    if activation == "linear":
        return loss is None or not loss.is_regression
    is_known = activation is None or (activation.endswith("sigmoid") and not activation.startswith("log"))
    return is_known or (loss is not None and loss.takes_probabilities is not None)


def load_network(path: Path) -> "keras.Model":
    """The network in a `.keras` file, uncompiled. Only Keras's own layers are ever made from it.

    Raises:
        UserError: the file is refused by `inspect`, or Keras cannot load it.
    """
    import keras

    inspect(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras may raise any exception for a wrong value
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} cannot be loaded by Keras {keras.__version__}: {reason}") from error


def save_network(model: "keras.Model", path: Path) -> None:
    """Write a network to a `.keras` file, and check that what `load_network` makes of it computes the same.

    Raises:
        UserError: it does not; the first layer that gives other outputs is named.
    """
    from prune_core.graph.agreement import check_agreement

    model.save(path)
    check_agreement(
        model,
        load_network(path),
        "what Keras loads from the saved file",
        "replace the layer, since Keras does not store all of it",
    )


def inspect(path: Path) -> KerasArchive:
    """What a `.keras` file holds, read without Keras.

    Raises:
        UserError: not a whole `.keras` file, a subclassed model, or one with code or layers of its own. The sentence
            begins with the path.
    """
    archive = read_archive(path)
    if archive.config.get("class_name") not in ("Functional", "Sequential"):
        raise UserError(
            f"{path} is a subclassed model ({archive.config.get('class_name')}): "
            "save a Sequential or functional model instead"
        )
    refuse_foreign_objects(path, archive.config)
    return archive


def stored_input(path: Path) -> tuple[tuple[int | None, ...], str] | None:
    """Shape of one sample and type of the input of a network that a sweep has saved; None if the file does not tell."""
    try:
        config = read_config(path)
        shape = archived_input_shape(config)
        return None if shape is None else (shape, next(input_dtypes(config), "float32"))
    except (OSError, ValueError, zipfile.BadZipFile, KeyError, TypeError, IndexError, AttributeError):
        return None


def _taken(given: Sequence[int], wanted: Sequence[int | None] | None) -> str:
    """What a network takes instead, and what to do if the samples only have to be put into another shape."""
    if wanted is None:
        return "one input of a known shape is needed"
    closed = [n for n in wanted if isinstance(n, int)]
    same = len(closed) == len(wanted) and prod(closed) == prod(given)
    return f"it takes {tuple(wanted)}" + (
        f", so store them as (samples, {', '.join(map(str, closed))})" if same else ""
    )


def _open(name: str, config: Mapping[str, Any]) -> tuple[Settings, KerasArchive]:
    settings = Settings(f"models.{name}", config, ("path", "sha256", "train", "hold_zeros"))
    path, expected = config.get("path"), config.get("sha256")
    if not isinstance(path, str) or not path:
        raise settings.error("path", "must be the path of a .keras file")
    try:
        archive = inspect(Path(path))
    except UserError as error:
        raise UserError(f"{settings.where}.path={error}") from error
    if expected is not None and expected != archive.sha256:
        raise settings.error("sha256", f"is not the digest of {path}, which is {archive.sha256}: the file has changed")
    return settings, archive


KERAS_FILE = KerasFile()
