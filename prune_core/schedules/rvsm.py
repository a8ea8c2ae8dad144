"""Sparse training by relaxed variable splitting with the l0 penalty.

Dinh & Xin 2018, "Convergence of a Relaxed Variable Splitting Method for Learning Sparse Neural Networks via l1, l0, and
transformed-l1 Penalties". Each pruned kernel exists twice: w, which learns, and u, which is sparse. They minimise

    loss(u) + lambda * |u|_0 + beta / 2 * |w - u|^2

by turns: u = w where |w| > sqrt(2 * lambda / beta), else 0 (the exact minimum over u given w); w takes an optimiser's
step along the gradient of the loss and the coupling's step -rate * beta * (w - u). Two choices differ from the paper,
whose w follows plain gradient descent on loss(w) + beta / 2 * |w - u|^2:

- The gradient is taken at u, the network that is delivered, and given to w: a weight that is zero in u can come back.
- The coupling is decoupled from the optimiser, as weight decay is in AdamW: inside Adam's normalised gradient it would
  be one step of the learning rate wherever the gradient is small, whatever beta is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_core.errors import UserError
from prune_core.pruning import Progress, Pruning
from prune_core.tasks import OutputKind
from prune_core.training import Figures, TrainingConfig, TrainingData, evaluate, mask_holder, run_epochs
from prune_core.weights import PrunableLayer, prunable_layers, weight_variables


def rvsm(pruning: Pruning) -> Iterator[Progress]:
    """Train the network further with `Rvsm`, remove what it has zeroed, recover."""
    settings = pruning.settings_of(pruning.spec.schedule_entry)
    data = pruning.labelled("schedule=rvsm")
    config = pruning.training.section("rvsm")
    trained = Rvsm(
        pruning.model,
        settings["lambda"],
        settings["beta"],
        include_output=pruning.prune_output,
        held=pruning.held,
        outputs=pruning.outputs,
    )
    parts = 1 + len(pruning.spec.recoveries)
    epochs = pruning.watch.each("train", trained.epochs(data, config, pruning.seed))
    for number, figures in enumerate(epochs, start=1):
        yield Progress(number / config.epochs / parts, f"rvsm, epoch {number}/{config.epochs}", figures)
    with pruning.watch.step("train"):
        result = trained.result(data.x_test, data.y_test)
    pruning.figures["accuracy_w"] = result.accuracy_w
    pruning.figures["accuracy_u"] = result.accuracy_u
    pruning.figures["accuracy_reversed"] = result.accuracy_reversed
    frozen = [layer.name for layer in pruning.layers if layer.path not in result.masks]
    pruning.warn(*(f"{name} was kept whole: it is not trainable" for name in frozen))
    pruning.remove(result.masks)
    for progress in pruning.recover():
        yield replace(progress, fraction=(1 + progress.fraction * (parts - 1)) / parts)


@dataclass(frozen=True)
class RvsmResult:
    """What RVSM training leaves; the network itself holds u.

    Attributes:
        w: weight path of each kernel in scope -> the learning weights.
        u: the same -> the sparse weights.
        masks: the same -> u != 0.
        accuracy_w: test accuracy with w. The loss never sees w itself: where few weights of u are zero, both agree;
            where most are, what w has below the threshold adds up to noise.
        accuracy_u: test accuracy with u, of the delivered network.
        accuracy_reversed: test accuracy with w where u is zero and zero elsewhere; near chance if the masks hold what
            matters.
    """

    w: dict[str, np.ndarray]
    u: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    accuracy_w: float
    accuracy_u: float
    accuracy_reversed: float


class Rvsm:
    """RVSM training of a network, in place.

    Args:
        model: classifier; its kernels in scope become u at once.
        lambda_: weight of the l0 penalty, >= 0.
        beta: strength of the coupling, > 0; rate * beta must be < 1 (a step of the coupling must not overshoot).
        include_output: whether the output layer's kernel is sparsified as well.
        held: masks of weights that stay zero whatever the training says, in w and u, in kernels in scope and others.
        outputs: how the network's outputs are read; None: found out.

    `epochs` trains and yields each epoch's figures; `result` may be asked for at any time after it.
    """

    def __init__(
        self,
        model: keras.Model,
        lambda_: float,
        beta: float,
        *,
        include_output: bool = False,
        held: Mapping[str, np.ndarray] | None = None,
        outputs: OutputKind | None = None,
    ) -> None:
        self.model = model
        self._outputs = outputs
        self.lambda_ = lambda_
        self.beta = beta
        self.layers: list[PrunableLayer] = [
            layer
            for layer in prunable_layers(model)
            if layer.kernel.trainable and (include_output or not layer.is_output)
        ]
        self._w = {layer.path: keras.Variable(layer.kernel.numpy(), name="w") for layer in self.layers}
        self._hold = mask_holder({**weight_variables(model), **self._w}, held or {})
        self._threshold = tf.Variable(0.0, trainable=False)

    def epochs(self, data: TrainingData, config: Mapping[str, Any] | TrainingConfig, seed: int) -> Iterator[Figures]:
        """Train; figures as `prune_core.training.train`, of the network with u, and "sparsity" of the kernels in scope.

        Lambda grows linearly to its value over the first half of the epochs: a threshold above all initial weights
        would otherwise start from a network of zeros, which has no gradient.

        Raises:
            UserError: beta too large for the learning rate, or bad `config`.
            TrainingDiverged: the loss is not finite any more.
        """
        settings = TrainingConfig.from_mapping(config)
        if settings.learning_rate * self.beta >= 1:
            raise UserError(
                f"beta={self.beta:g} times training.learning_rate={settings.learning_rate:g} must be below 1: "
                "lower beta"
            )
        moved = {id(layer.kernel): self._w[layer.path] for layer in self.layers}
        updated = [moved.get(id(variable), variable) for variable in self.model.trainable_variables]

        def before_epoch(epoch: int) -> None:
            share = min(1.0, 2 * (epoch + 1) / settings.epochs)
            self._threshold.assign(threshold(share * self.lambda_, self.beta))
            after_step()

        def after_step() -> None:
            self._hold()
            self._sparsify()

        figures = run_epochs(
            self.model,
            data,
            settings,
            seed,
            updated=updated,
            before_step=self._couple,
            after_step=after_step,
            before_epoch=before_epoch,
            outputs=self._outputs,
        )
        for values in figures:
            yield {**values, "sparsity": self.sparsity()}

    def sparsity(self) -> float:
        """Fraction of the weights in scope that are zero in u."""
        zeros = [np.count_nonzero(layer.kernel.numpy() == 0) for layer in self.layers]
        return float(sum(zeros) / max(1, sum(math.prod(layer.kernel.shape) for layer in self.layers)))

    def result(self, x_test: np.ndarray, y_test: np.ndarray) -> RvsmResult:
        """Weights, masks and the three accuracies on a test split; leaves u in the network."""
        w = {path: variable.numpy() for path, variable in self._w.items()}
        u = {layer.path: layer.kernel.numpy() for layer in self.layers}
        masks = {path: values != 0 for path, values in u.items()}
        reversed_ = {path: np.where(masks[path], np.float32(0), values) for path, values in w.items()}
        accuracies = {}
        for name, kernels in (("w", w), ("reversed", reversed_), ("u", u)):
            for layer in self.layers:
                layer.kernel.assign(kernels[layer.path])
            accuracies[name] = evaluate(self.model, x_test, y_test, outputs=self._outputs).accuracy
        return RvsmResult(w, u, masks, accuracies["w"], accuracies["u"], accuracies["reversed"])

    def _couple(self, rate: tf.Tensor) -> None:
        """Pull w towards u; both as they were when the gradient was taken."""
        for layer in self.layers:
            w = self._w[layer.path]
            w.assign(w.value - tf.cast(rate, w.dtype) * self.beta * (w.value - layer.kernel.value))

    def _sparsify(self) -> None:
        """Set u to the minimum for w."""
        for layer in self.layers:
            layer.kernel.assign(hard_threshold(self._w[layer.path].value, tf.cast(self._threshold, layer.kernel.dtype)))


def threshold(lambda_: float, beta: float) -> float:
    """sqrt(2 * lambda / beta): where keeping a weight costs as much as zeroing it."""
    return math.sqrt(2 * lambda_ / beta)


def hard_threshold(w: tf.Tensor, limit: tf.Tensor | float) -> tf.Tensor:
    """w where |w| > limit, else 0: the minimum over u of lambda * |u|_0 + beta / 2 * |w - u|^2."""
    return tf.where(tf.abs(w) > limit, w, tf.zeros_like(w))
