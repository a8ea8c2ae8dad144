"""The suite of transforms."""

from typing import Any

import keras
import numpy as np
import pytest

from prune_core.axes import TRANSFORMS, Transform
from prune_core.codec import decode, encode
from prune_core.masks import count_parameters
from prune_core.pipeline import PruneResult, before_transforms, finished, transformed
from prune_core.spec import MethodSpec
from prune_core.testing.entries import EntryConformance
from prune_core.testing.networks import cnn, outputs_of, same_bits, samples, weights_of


class TransformConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        transform: name under which it is registered.
        parameters: its parameters, its switch among them.
    """

    axis = "transforms"
    kind = Transform
    transform: str

    @pytest.fixture(scope="class", params=["weight", "unit"])
    @classmethod
    def pruned(cls, request: pytest.FixtureRequest) -> PruneResult:
        """What comes before the transform."""
        return finished(before_transforms(cnn(), cls._spec(request.param), data=samples()))

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, pruned: PruneResult) -> tuple[dict[str, Any], PruneResult]:
        """(copies of all that was there before, the result of the transform)."""
        return _copied(pruned), transformed(pruned, cls._spec(), data=samples())

    def test_it_is_switched_on_by_its_parameter_alone(self, pruned: PruneResult) -> None:
        entry = self._entry()
        assert entry.switch in entry.parameters, f"the switch {entry.switch!r} is not a parameter"
        assert entry.parameters[entry.switch].default is None, "a switch is off unless it is given: default=None"
        assert entry.switch in self.parameters, f"give {entry.switch} to the suite"
        assert self._spec().transforms == (self.transform,)
        off = self._spec().replaced(**dict.fromkeys(self.parameters))
        assert off.transforms == ()
        assert transformed(pruned, off, data=samples()) is pruned, "it is done where it is switched off"

    def test_it_changes_the_delivered_network(self, pruned: PruneResult, done: Any) -> None:
        _, result = done
        assert not same_bits(weights_of(pruned.model), weights_of(result.model)), "no weight is another one"

    def test_what_was_there_before_stays_as_it_was(self, pruned: PruneResult, done: Any) -> None:
        before, _ = done
        after = _copied(pruned)
        assert same_bits(before["weights"], after["weights"]), "it changes the network that it was given"
        assert same_bits(before["masks"], after["masks"]), "it changes the masks"
        assert before["figures"] == after["figures"], "it changes the figures of what came before"
        x, y = samples.__wrapped__()
        assert same_bits({"x": x, "y": y}, dict(zip("xy", samples(), strict=True))), "it changes the data"

    def test_outputs_are_finite_and_of_the_same_shape(self, pruned: PruneResult, done: Any) -> None:
        x, _ = samples()
        found = outputs_of(done[1].model, x)
        assert np.isfinite(found).all(), "the network answers with numbers that are not finite"
        assert found.shape == outputs_of(pruned.model, x).shape

    def test_what_was_removed_stays_removed(self, pruned: PruneResult, done: Any) -> None:
        after = weights_of(done[1].model)
        for path, values in weights_of(pruned.model).items():
            if path in after and after[path].shape == values.shape:
                assert not after[path][values == 0].any(), f"{path} is not zero any more where it was"

    def test_it_is_stored_and_read_back_bit_for_bit(self, done: Any) -> None:
        model = done[1].model
        assert same_bits(weights_of(model), weights_of(decode(encode(model))))

    def test_the_figures_tell_what_was_delivered(self, done: Any) -> None:
        _, result = done
        assert all(np.isfinite(float(number)) for number in result.figures.values()), "a figure is not finite"
        found = count_parameters(result.model)[1]
        assert result.figures["params_nonzero"] == found, f"figures['params_nonzero'] must be set: {found} now"

    def test_the_seed_is_its_only_source_of_randomness(self, pruned: PruneResult, done: Any) -> None:
        np.random.random(3)
        keras.random.normal((3,))
        again = transformed(pruned, self._spec(), data=samples())
        assert same_bits(weights_of(done[1].model), weights_of(again.model)), "other weights the second time"
        assert done[1].figures == again.figures

    @classmethod
    def _spec(cls, granularity: str = "unit") -> MethodSpec:
        switch = TRANSFORMS.get(cls.transform).switch
        assert switch in cls.parameters, f"give {switch} to the suite"
        return MethodSpec("random", granularity, sparsity=0.5, **cls.parameters)


def _copied(result: PruneResult) -> dict[str, Any]:
    """The weights, masks and figures of a result."""
    weights = {f"model {path}": values for path, values in weights_of(result.model).items()}
    weights |= {f"masked {path}": values for path, values in weights_of(result.masked).items()}
    masks = {path: mask.copy() for path, mask in result.masks.items()}
    return {"weights": weights, "masks": masks, "figures": dict(result.figures)}
