"""The suite of scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.scores import SCORES, Score, Scores, ScoringContext
from prune_core.testing.entries import EntryConformance, all_settings
from prune_core.testing.grouped import score_shapes
from prune_core.testing.networks import cnn, every_kernel, mlp, same_bits, samples, weights_of
from prune_core.weights import prunable_layers


class ScoreConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        score: name under which it is registered.
        options: its parameters, if it cannot do without.
    """

    axis = "score"
    kind = Score
    score: str
    options: Mapping[str, Any] = {}

    @pytest.fixture(scope="class", params=[mlp, cnn, every_kernel], ids=lambda make: make.__name__)
    @classmethod
    def network(cls, request: pytest.FixtureRequest) -> keras.Model:
        """The networks on which it is tried."""
        return request.param()

    def test_it_says_what_it_can_score(self) -> None:
        score = self._score()
        assert score.granularities, "it names no granularity"
        unknown = set(score.granularities) - {"weight", "unit"}
        assert not unknown, f"granularities that do not exist: {unknown}"
        score.check(score.granularities[0])

    def test_every_weight_or_unit_has_one_finite_number(self, network: keras.Model) -> None:
        layers = prunable_layers(network)
        for granularity, scores in self._scored(network):
            found = {name: np.shape(array) for name, array in scores.items()}
            wanted = score_shapes(layers, granularity)
            assert found == wanted, f"at granularity {granularity} it gives {found}, not {wanted}"
            for name, array in scores.items():
                assert array.dtype.kind in "fiu", f"the scores of {name} are {array.dtype}, not numbers"
                assert np.isfinite(array).all(), f"a score of {name} is not finite"

    def test_the_network_and_the_data_stay_as_they_were(self, network: keras.Model) -> None:
        x, y = samples()
        before = {"x": x.copy(), "y": y.copy(), **weights_of(network)}
        trainable = [variable.path for variable in network.trainable_variables]
        list(self._scored(network))
        assert same_bits(before, {"x": x, "y": y, **weights_of(network)}), "it changes the network or the data"
        assert [variable.path for variable in network.trainable_variables] == trainable

    def test_the_seed_is_its_only_source_of_randomness(self, network: keras.Model) -> None:
        first = dict(self._scored(network))
        np.random.random(3)
        keras.random.normal((3,))
        for granularity, again in self._scored(network):
            assert same_bits(first[granularity], again), f"other scores the second time, at granularity {granularity}"

    def test_only_layers_in_scope_are_scored(self, network: keras.Model) -> None:
        in_scope = prunable_layers(network)[:1]
        for granularity, scores in self._scored(network, layers=in_scope):
            assert set(scores) == set(score_shapes(in_scope, granularity)), f"asked for {in_scope[0].name} alone"

    def test_biases_are_scored_when_asked(self, network: keras.Model) -> None:
        if "weight" in self._score().granularities:
            layers = prunable_layers(network)
            scores = self._score()(self._context(network, "weight", include_biases=True))
            wanted = score_shapes(layers, "weight", include_biases=True)
            assert {name: np.shape(array) for name, array in scores.items()} == wanted

    def test_by_products_are_arrays(self, network: keras.Model) -> None:
        for granularity in self._score().granularities:
            context = self._context(network, granularity)
            self._score()(context)
            assert all(isinstance(array, np.ndarray) for array in context.by_products.values())

    def test_data_that_it_needs_are_asked_for(self, network: keras.Model) -> None:
        for granularity in self._score().granularities:
            context = self._context(network, granularity, x=None, y=None)
            if self._score().needs_data:
                with pytest.raises(UserError, match="needs training data"):
                    self._score()(context)
            else:
                assert self._score()(context), "without data it scores nothing: register it with needs_data=True"

    def _score(self) -> Score:
        return SCORES.get(self.score)

    def _given(self) -> Mapping[str, Any]:
        return self.options

    def _context(self, network: keras.Model, granularity: str, **changes: Any) -> ScoringContext:
        x, y = samples()
        options = all_settings(self._score(), self.options)
        fields = {"layers": prunable_layers(network), "x": x, "y": y, "seed": 0, "options": options, **changes}
        return ScoringContext(model=network, granularity=granularity, **fields)

    def _scored(self, network: keras.Model, **changes: Any) -> Iterator[tuple[str, Scores]]:
        for granularity in self._score().granularities:
            yield granularity, self._score()(self._context(network, granularity, **changes))
