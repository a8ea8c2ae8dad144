"""The suite of recoveries."""

from typing import Any

import keras
import numpy as np
import pytest

from prune_core.axes import RECOVERIES, Recovery
from prune_core.errors import UserError
from prune_core.pipeline import prune
from prune_core.pruning import Progress, Pruning
from prune_core.spec import MethodSpec
from prune_core.testing.entries import EntryConformance
from prune_core.testing.networks import cnn, outputs_of, same_bits, samples, weights_of
from prune_core.testing.steps import TRAINING, Seen, check_progress, check_removed, pruning_of, watched
from prune_core.training.config import TrainingConfig


class RecoveryConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        recovery: name under which it is registered.
        parameters: its parameters, if it cannot do without.
        network: makes the network on which it is tried; it has to find something to repair there.
    """

    axis = "recovery"
    kind = Recovery
    recovery: str
    network = staticmethod(cnn)

    @pytest.fixture(scope="class", params=["weight", "unit"])
    @classmethod
    def recovered(cls, request: pytest.FixtureRequest) -> tuple[keras.Model, Seen, Pruning, list[Seen]]:
        """(the network given, what was there before the recovery, the pruning after it, what was seen on the way)."""
        network = cls.network()
        return network, *cls._run(network, request.param, samples())

    def test_it_repairs_something(self, recovered: Any) -> None:
        _, before, pruning, _ = recovered
        assert not same_bits(before.weights, weights_of(pruning.model)), "no weight is another one afterwards"

    def test_what_was_removed_stays_zero(self, recovered: Any) -> None:
        _, before, pruning, seen = recovered
        for step in seen:
            check_removed(before.masks, step.weights)
        check_removed(before.masks, weights_of(pruning.model))

    def test_masks_stay_as_they_were(self, recovered: Any) -> None:
        _, before, pruning, _ = recovered
        assert same_bits(before.masks, pruning.masks), "it changes the masks"

    def test_the_network_given_and_the_data_stay_as_they_were(self, recovered: Any) -> None:
        network, _, pruning, _ = recovered
        assert same_bits(weights_of(self.network()), weights_of(network)), "it changes the dense network"
        x, y = samples.__wrapped__()
        assert same_bits({"x": x, "y": y}, {"x": pruning.data.x_train, "y": pruning.data.y_train}), "it changes data"

    def test_outputs_are_finite(self, recovered: Any) -> None:
        _, _, pruning, _ = recovered
        assert np.isfinite(outputs_of(pruning.model, samples()[0])).all()

    def test_progress_does_not_fall(self, recovered: Any) -> None:
        check_progress(recovered[-1])

    def test_the_seed_is_its_only_source_of_randomness(self, recovered: Any) -> None:
        _, _, pruning, _ = recovered
        np.random.random(3)
        keras.random.normal((3,))
        _, again, _ = self._run(self.network(), pruning.spec.granularity, samples())
        assert same_bits(weights_of(pruning.model), weights_of(again.model)), "other weights the second time"

    def test_labels_are_read_only_where_it_says_so(self, recovered: Any) -> None:
        _, _, pruning, _ = recovered
        if self._entry().needs_labels:
            return
        x, y = samples()
        for data in (x, (x, np.full(len(y), 10**6))) if self._entry().needs_data else (None,):
            _, other, _ = self._run(self.network(), pruning.spec.granularity, data)
            assert same_bits(weights_of(pruning.model), weights_of(other.model)), "other weights with other labels"

    def test_data_that_it_needs_are_asked_for(self) -> None:
        entry = self._entry()
        x, _ = samples()
        lacking = [None] if entry.needs_data or entry.needs_labels else []
        for data in [*lacking, *([x] if entry.needs_labels else [])]:
            with pytest.raises(UserError, match=f"recovery={self.recovery} .*give data") as caught:
                prune(self.network(), self._spec("weight"), data=data, training=TRAINING)
            assert "\n" not in str(caught.value)

    def test_where_it_trains_it_has_a_section_and_holds_zeros(self) -> None:
        if not self._entry().trains:
            return
        config = TrainingConfig.from_mapping({"epochs": 1, self.recovery: {"epochs": 3}})
        assert self._spec("weight").epochs(config) >= 3
        network = self.network()
        layer = network.layers[-1]
        layer.kernel.assign(np.where(np.arange(layer.kernel.shape[-1]) % 2, layer.kernel, 0))
        result = prune(network, self._spec("weight"), data=samples(), training=TRAINING)
        zero = np.asarray(layer.kernel) == 0
        assert not np.asarray(result.masked.layers[-1].kernel)[zero].any(), "train under `pruning.held_masks()`"

    def test_it_follows_another_one(self) -> None:
        other = next(name for name in ("batchnorm", "reconstruct") if name != self.recovery)
        spec = self._spec("unit").replaced(recovery=[other, self.recovery])
        result = prune(self.network(), spec, data=samples(), training=TRAINING)
        assert np.isfinite(outputs_of(result.model, samples()[0])).all()

    @classmethod
    def _spec(cls, granularity: str) -> MethodSpec:
        return MethodSpec("random", granularity, recovery=cls.recovery, sparsity=0.5, **cls.parameters)

    @classmethod
    def _run(cls, network: keras.Model, granularity: str, data: Any) -> tuple[Seen, Pruning, list[Seen]]:
        pruning = pruning_of(network, cls._spec(granularity), data)
        pruning.select()
        (before,) = watched(pruning, [Progress(0.0)])
        steps = RECOVERIES.get(cls.recovery).load()(pruning)
        return before, pruning, watched(pruning, () if steps is None else steps)
