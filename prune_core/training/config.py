"""How a network is trained, as data. Plan-time: no TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prune_core.settings import Settings

OPTIMIZERS = ("adam", "adamw", "momentum", "rmsprop", "sgd")
DECAYS = ("none", "cosine")
_FINETUNE = ("epochs", "learning_rate")


@dataclass(frozen=True)
class TrainingConfig:
    """What `prune_core.training.loop` needs besides network, data and seed.

    Attributes:
        epochs: passes over the training set, >= 1.
        batch_size: samples a step, >= 1; at most the training set is used.
        learning_rate: of the first epoch, > 0.
        optimizer: one of OPTIMIZERS; "momentum" is SGD with momentum 0.9.
        decay: "none", or "cosine": the rate falls to zero along half a cosine, epoch by epoch.
        finetune_epochs: passes when a pruned network is trained on with its masks held.
        finetune_learning_rate: the rate of those.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    decay: str = "none"
    finetune_epochs: int = 1
    finetune_learning_rate: float = 1e-3

    @classmethod
    def from_mapping(cls, config: "Mapping[str, Any] | TrainingConfig") -> "TrainingConfig":
        """Read `conf/training/*.yaml`: these attributes, the last two as `finetune: {epochs, learning_rate}`,
        which default to the former two.

        Raises:
            UserError: unknown key or value out of range, named as `training.<key>`.
        """
        if isinstance(config, TrainingConfig):
            return config
        keys = ("epochs", "batch_size", "learning_rate", "optimizer", "decay", "finetune")
        settings = Settings("training", config, keys)
        epochs, rate = settings.count("epochs"), _rate(settings, 1e-3)
        finetune = Settings("training.finetune", config.get("finetune", {}), _FINETUNE)
        return cls(
            epochs=epochs,
            batch_size=settings.count("batch_size", 128),
            learning_rate=rate,
            optimizer=settings.choice("optimizer", OPTIMIZERS, "adam"),
            decay=settings.choice("decay", DECAYS, "none"),
            finetune_epochs=finetune.count("epochs", epochs),
            finetune_learning_rate=_rate(finetune, rate),
        )

    def for_finetuning(self) -> "TrainingConfig":
        """The same with the epochs and rate of fine-tuning."""
        return TrainingConfig(
            self.finetune_epochs, self.batch_size, self.finetune_learning_rate, self.optimizer, self.decay
        )

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.decay == "none":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


def _rate(settings: Settings, default: float) -> float:
    rate = settings.number("learning_rate", default, low=0.0)
    if rate == 0:
        raise settings.error("learning_rate", "must be > 0")
    return rate
