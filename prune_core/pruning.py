"""What the steps of one pruning share: schedules drive it, recoveries repair its network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from prune_core.axes import Recovery
from prune_core.entries import Entry
from prune_core.errors import UserError
from prune_core.granularities.base import Grouping, Masks
from prune_core.masks.apply import apply_masks, kernel_sparsity
from prune_core.masks.held_zeros import merged
from prune_core.measure import Stopwatch
from prune_core.scores.base import ScoringContext
from prune_core.selections.base import run_selection
from prune_core.spec import MethodSpec
from prune_core.tasks import OutputKind, find_outputs
from prune_core.training.checkpoint import EpochCheckpoint
from prune_core.training.config import TrainingConfig
from prune_core.training.given_data import check_samples, check_training_data, with_class_indices
from prune_core.weights import PrunableLayer, weight_variables


@dataclass(frozen=True)
class Progress:
    """How far a step is.

    Attributes:
        fraction: of the step, in [0, 1].
        note: for a person, e.g. "fine-tuning, epoch 2/5".
        metrics: numbers that are known at this point, e.g. {"val_accuracy": 0.93}.
    """

    fraction: float
    note: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Pruning:
    """One pruning under way.

    Attributes:
        spec: the method.
        dense: the network as it was given; it is only read.
        model: a copy of it, which is pruned: removed weights are zero, nothing is gone physically yet.
        layers: the kernels of `model` that may be pruned, in the order of the network.
        data: the splits that were given (x_train, y_train, x_val, ...), or None.
        training: how the network is trained.
        seed: the only source of randomness.
        prune_output: whether the layers that make the output are pruned, too.
        outputs: how the outputs are read; None: not found out yet.
        held: masks of what was zero in the given network and stays so.
        masks: {weight path: bool array}, True = kept; of everything that can be pruned. Masks only shrink.
        figures: numbers by name, to be reported.
        warnings: sentences that a person must read.
        by_products: arrays that a score had to compute anyway.
        kept_whole: names of layers that could not be pruned.
        watch: counts the seconds of each step.
        checkpoint: where the state of long training is kept, or None.
    """

    spec: MethodSpec
    dense: keras.Model
    model: keras.Model
    layers: list[PrunableLayer]
    data: Any
    training: TrainingConfig
    seed: int
    prune_output: bool
    outputs: OutputKind | None = None
    held: Masks = field(default_factory=dict)
    masks: Masks = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    by_products: dict[str, np.ndarray] = field(default_factory=dict)
    kept_whole: set[str] = field(default_factory=set)
    watch: Stopwatch = field(default_factory=Stopwatch)
    checkpoint: EpochCheckpoint | None = None
    _trainings: int = 0

    def __post_init__(self) -> None:
        self.masks = {layer.path: np.ones(tuple(layer.kernel.shape), bool) for layer in self.layers}

    def settings_of(self, entry: Entry) -> dict[str, Any]:
        """The parameters of an entry of the method, those not given at their defaults."""
        return self.spec.settings_of(entry)

    def select(self, share: float = 1.0) -> None:
        """Score and select, and set what is too low to zero.

        Args:
            share: part of the method's amount (sparsity, threshold) that is to be reached, in (0, 1].

        Raises:
            UserError: scores that are not numbers, or another number of values than of layers.
        """
        if not self.spec.is_scored:
            return
        parameters = self._scaled(share)
        grouping = self._grouping()
        with self.watch.step("select"):
            kept = run_selection(self.spec.selection_entry, grouping.groups, parameters)
            self.remove(grouping.masks(kept))
        self.warn(*(f"{layer} was kept whole: {why}" for layer, why in grouping.kept_whole.items()))
        self.kept_whole |= grouping.kept_whole.keys()

    def remove(self, masks: Mapping[str, np.ndarray]) -> None:
        """Take masks in, and set the weights that they remove to zero. What was removed before stays removed."""
        both = {path: mask & self.masks[path] if path in self.masks else mask for path, mask in masks.items()}
        self.masks = {**self.masks, **both}
        apply_masks(self.model, self.masks)

    def recover(self) -> Iterator[Progress]:
        """Run the recoveries of the method, one after the other.

        Raises:
            RuntimeError: a recovery brought back what was removed.
        """
        recoveries = self.spec.recovery_entries
        for number, entry in enumerate(recoveries):
            for progress in self._run(entry):
                yield replace(progress, fraction=(number + progress.fraction) / len(recoveries))
            self._check_held(entry)

    def labelled(self, why: str) -> Any:
        """The splits with class indices as labels, checked for training.

        Args:
            why: what needs them, for messages: "recovery=finetune".

        Raises:
            UserError: no labels, or data that do not fit the network.
        """
        if self.data is None or self.data.y_train is None:
            raise UserError(f"{why} trains: give data=(x, y)")
        data = with_class_indices(self.data)
        check_training_data(self.model, data)
        if self.outputs is None:
            found = find_outputs(self.dense, data.x_train)  # a copy is not compiled
            self.outputs = found.kind
            self.warn(*([found.remark] if found.remark else []))
        return data

    def inputs(self, why: str) -> np.ndarray:
        """The training inputs, checked against the network; float32 (N, ...).

        Args:
            why: what needs them, for messages: "recovery=batchnorm".

        Raises:
            UserError: no data, or data that do not fit the network.
        """
        if self.data is None:
            raise UserError(f"{why} needs training data and there is none: give data=x")
        check_samples(self.model, self.data.x_train)
        return np.asarray(self.data.x_train)

    def held_masks(self) -> Masks:
        """Masks of everything that has to stay zero while the network is trained."""
        return merged(self.masks, self.held)

    def training_state(self) -> EpochCheckpoint | None:
        """Where the next training of this pruning keeps its state: each has a file of its own, by its number."""
        self._trainings += 1
        return None if self.checkpoint is None else self.checkpoint.part(self._trainings)

    @property
    def training_number(self) -> int:
        """How many trainings have begun."""
        return self._trainings

    def sparsity(self) -> float:
        """Fraction of the kernel weights in scope that are zero now."""
        return kernel_sparsity(self.model, self.layers)[0]

    def warn(self, *sentences: str) -> None:
        """Add to what a person must read, each sentence once."""
        self.warnings += [sentence for sentence in sentences if sentence not in self.warnings]

    def _grouping(self) -> Grouping:
        score, granularity = self.spec.score_entry, self.spec.granularity_entry
        assert score is not None  # the method is scored
        if self.data is not None and score.needs_data:
            check_samples(self.model, self.data.x_train)
        by_units = granularity.scored_as == "unit"
        context = ScoringContext(
            model=self.model,
            layers=self.layers,
            granularity=granularity.scored_as,
            x=None if self.data is None else self.data.x_train,
            y=None if self.data is None else self.data.y_train,
            seed=self.seed,
            include_biases=self.spec.include_biases,
            options=self.settings_of(score),
            parameters=self.settings_of(granularity),
            dense=self.dense,
            masks=self.masks,
            by_products=self.by_products,
        )
        with self.watch.step("score"):
            scored = [layer for layer in self.layers if layer.inside is None] if by_units else self.layers
            scores = score(context.on(scored))
        with self.watch.step("select"):
            return granularity.load()(context, scores)  # type: ignore[no-any-return]

    def _scaled(self, share: float) -> dict[str, Any]:
        """The selection's parameters with a part of its amount; lists with one value a layer by the layers' names."""
        entry = self.spec.selection_entry
        found = {}
        for name, value in self.settings_of(entry).items():
            by_layer = self._by_layer(name, value) if isinstance(value, tuple) else value
            found[name] = _times(by_layer, share) if name == entry.amount and share != 1 else by_layer
        return found

    def _by_layer(self, name: str, values: tuple[Any, ...]) -> dict[str, Any]:
        names = [layer.name for layer in self.layers]
        if len(values) != len(names):
            raise UserError(
                f"{name} has {len(values)} fractions, but the network has {len(names)} layers to prune "
                f"({', '.join(names)}): give one a layer"
            )
        return dict(zip(names, values, strict=True))

    def _run(self, entry: Recovery) -> Iterator[Progress]:
        steps = entry.load()(self)
        if steps is not None:
            yield from steps
        yield Progress(1.0, entry.name, {"sparsity": self.sparsity()})

    def _check_held(self, entry: Recovery) -> None:
        variables = weight_variables(self.model)
        for path, mask in self.held_masks().items():
            if np.any(keras.ops.convert_to_numpy(variables[path])[~mask]):
                raise RuntimeError(f"recovery={entry.name} brought back weights of {path} that were removed")


def _times(value: Any, share: float) -> Any:
    return {name: one * share for name, one in value.items()} if isinstance(value, dict) else value * share
