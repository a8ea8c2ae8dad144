"""How a network is trained, as data. Plan-time: no TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prune_core.axes import trainers
from prune_core.settings import Settings

OPTIMIZERS = ("adam", "adamw", "momentum", "rmsprop", "sgd")
DECAYS = ("none", "cosine")
KEYS = ("epochs", "batch_size", "learning_rate", "optimizer", "decay")
"""What a section of the configuration may say of a training."""


@dataclass(frozen=True)
class TrainingConfig:
    """What `prune_core.training` needs besides network, data and seed.

    Attributes:
        epochs: passes over the training set, >= 1.
        batch_size: samples a step, >= 1; at most the training set is used.
        learning_rate: of the first epoch, > 0.
        optimizer: one of OPTIMIZERS; "momentum" is SGD with momentum 0.9.
        decay: "none", or "cosine": the rate falls to zero along half a cosine, epoch by epoch.
        sections: {name of a schedule or recovery that trains: how it does that}.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    decay: str = "none"
    sections: "Mapping[str, TrainingConfig]" = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, config: "Mapping[str, Any] | TrainingConfig") -> "TrainingConfig":
        """Read `conf/training/*.yaml`: these attributes, and a section of the same keys for each schedule or recovery
        that trains (`finetune: {epochs, learning_rate}`), which default to the former.

        Raises:
            UserError: unknown key or value out of range, named as `training.<key>`.
        """
        if isinstance(config, TrainingConfig):
            return config
        names = trainers()
        settings = Settings("training", config, (*KEYS, *names))
        common = cls(settings.count("epochs"))._updated(settings)
        given = {name: config[name] for name in names if config.get(name) is not None}
        return replace(
            common,
            sections={
                name: common._updated(Settings(f"training.{name}", section, KEYS)) for name, section in given.items()
            },
        )

    def section(self, name: str) -> "TrainingConfig":
        """How the schedule or recovery called `name` trains."""
        return self.sections.get(name, replace(self, sections={}))

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.decay == "none":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def _updated(self, settings: Settings) -> "TrainingConfig":
        """These settings with those of a section of the configuration."""
        return TrainingConfig(
            epochs=settings.count("epochs", self.epochs),
            batch_size=settings.count("batch_size", self.batch_size),
            learning_rate=_rate(settings, self.learning_rate),
            optimizer=settings.choice("optimizer", OPTIMIZERS, self.optimizer),
            decay=settings.choice("decay", DECAYS, self.decay),
        )


def _rate(settings: Settings, default: float) -> float:
    rate = settings.number("learning_rate", default, low=0.0)
    if rate == 0:
        raise settings.error("learning_rate", "must be > 0")
    return rate
