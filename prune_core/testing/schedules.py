"""The suite of schedules."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from prune_core.axes import SCHEDULES, Schedule
from prune_core.errors import UserError
from prune_core.pipeline import prune
from prune_core.pruning import Progress, Pruning
from prune_core.spec import MethodSpec
from prune_core.testing.entries import EntryConformance, all_settings
from prune_core.testing.networks import cnn, same_bits, samples, weights_of
from prune_core.testing.steps import TRAINING, Seen, check_progress, check_removed, pruning_of, watched
from prune_core.training.config import TrainingConfig

_SPARSITY = 0.75


class ScheduleConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        schedule: name under which it is registered.
        parameters: its parameters, if it cannot do without.
        network: makes the network on which it is tried; it has a BatchNormalization.
    """

    axis = "schedule"
    kind = Schedule
    schedule: str
    network = staticmethod(cnn)

    @pytest.fixture(scope="class")
    @classmethod
    def ended(cls) -> tuple[keras.Model, dict[str, np.ndarray], Pruning, list[Seen]]:
        """(the network given, its weights before, the pruning at its end, what was seen after each step)."""
        network = cls.network()
        before = weights_of(network)
        return network, before, *cls._run(network)

    def test_it_says_how_much_goes_where_it_makes_the_masks_itself(self) -> None:
        entry = self._entry()
        assert entry.amount is None or entry.amount in entry.parameters
        assert entry.selects or entry.amount, "without a selection it needs an amount of its own"

    def test_progress_does_not_fall(self, ended: Any) -> None:
        seen = ended[-1]
        assert seen, "it yields nothing"
        check_progress(seen)

    def test_masks_only_shrink_and_what_they_remove_is_zero(self, ended: Any) -> None:
        *_, pruning, seen = ended
        before = {layer.path: np.ones(tuple(layer.kernel.shape), bool) for layer in pruning.layers}
        for step in seen:
            assert all((step.masks[path] <= mask).all() for path, mask in before.items()), "a mask grows"
            check_removed(step.masks, step.weights)
            before = step.masks

    def test_it_ends_with_the_amount_of_the_method(self, ended: Any) -> None:
        *_, pruning, _ = ended
        check_removed(pruning.masks, weights_of(pruning.model))
        gone = {path: int((~mask).sum()) for path, mask in pruning.masks.items()}
        assert any(gone.values()), "nothing was removed"
        if self._entry().selects:
            wanted = {path: int(_SPARSITY * mask.size + 1e-9) for path, mask in pruning.masks.items()}
            assert gone == wanted, f"asked for sparsity={_SPARSITY}, it removes {gone}, not {wanted}"

    def test_the_recovery_is_run_as_often_as_it_says(self, ended: Any) -> None:
        *_, pruning, _ = ended
        wanted = self._entry().repeats(all_settings(self._entry(), self.parameters))
        assert pruning.recovered == wanted, f"it recovers {pruning.recovered} times, and `repeats` says {wanted}"

    def test_the_network_and_the_data_stay_as_they_were(self, ended: Any) -> None:
        network, before, pruning, _ = ended
        assert pruning.dense is network
        assert same_bits(before, weights_of(network)), "it changes the dense network"
        x, y = samples.__wrapped__()
        assert same_bits({"x": x, "y": y}, {"x": pruning.data.x_train, "y": pruning.data.y_train}), "it changes data"

    def test_the_seed_is_its_only_source_of_randomness(self, ended: Any) -> None:
        *_, pruning, seen = ended
        np.random.random(3)
        keras.random.normal((3,))
        again, seen_again = self._run(self.network())
        assert same_bits(pruning.masks, again.masks), "other masks the second time"
        assert same_bits(weights_of(pruning.model), weights_of(again.model)), "other weights the second time"
        assert [step.progress for step in seen] == [step.progress for step in seen_again]

    def test_data_that_it_needs_are_asked_for(self) -> None:
        x, _ = samples()
        data = x if self._entry().needs_labels else None
        if self._entry().needs_data or self._entry().needs_labels:
            with pytest.raises(UserError, match="give data") as caught:
                prune(self.network(), self._spec(recovery="none"), training=TRAINING, data=data)
            assert "\n" not in str(caught.value)
        else:
            assert prune(self.network(), self._spec(recovery="none")).figures["sparsity"] > 0

    def test_where_it_trains_it_has_a_section_and_holds_zeros(self) -> None:
        if not self._entry().trains:
            return
        config = TrainingConfig.from_mapping({"epochs": 1, self.schedule: {"epochs": 3}})
        assert self._spec(recovery="none").epochs(config) >= 3
        network = self.network()
        layer = network.layers[-1]
        layer.kernel.assign(np.where(np.arange(layer.kernel.shape[-1]) % 2, layer.kernel, 0))
        result = prune(network, self._spec(recovery="none"), data=samples(), training=TRAINING)
        zero = np.asarray(layer.kernel) == 0
        assert not np.asarray(result.masked.layers[-1].kernel)[zero].any(), "train under `pruning.held_masks()`"

    @classmethod
    def _spec(cls, **changes: Any) -> MethodSpec:
        amount = {"sparsity": _SPARSITY} if SCHEDULES.get(cls.schedule).selects else {}
        return MethodSpec(schedule=cls.schedule, **{"recovery": "batchnorm", **amount, **cls.parameters, **changes})

    @classmethod
    def _run(cls, network: keras.Model) -> tuple["_Counting", list[Seen]]:
        pruning = _Counting(**vars(pruning_of(network, cls._spec(), samples())))
        return pruning, watched(pruning, pruning.spec.schedule_entry.load()(pruning))


class _Counting(Pruning):
    """Counts how often it recovers."""

    recovered = 0

    def recover(self) -> Iterator[Progress]:
        self.recovered += 1
        yield from super().recover()
