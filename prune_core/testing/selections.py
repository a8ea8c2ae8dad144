"""The suite of selections."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prune_core.axes import Selection
from prune_core.errors import UserError
from prune_core.granularities import Group
from prune_core.pipeline import prune
from prune_core.selections import SelectionContext
from prune_core.selections.base import run_selection
from prune_core.spec import MethodSpec
from prune_core.testing.entries import EntryConformance, all_settings, raised
from prune_core.testing.grouped import grouped
from prune_core.testing.networks import cnn, mlp, same_bits, samples, weights_of


class SelectionConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        selection: name under which it is registered.
        parameters: its parameters, a middling amount among them.
    """

    axis = "selection"
    kind = Selection
    selection: str

    @pytest.fixture(scope="class", params=["weight", "unit"])
    @classmethod
    def groups(cls, request: pytest.FixtureRequest) -> list[Group]:
        """Scores of weights, which may all go, and of units, of which one a layer has to stay."""
        return list(grouped(cnn(), request.param).groups)

    def test_its_amount_is_a_parameter(self) -> None:
        entry = self._entry()
        assert entry.amount is None or entry.amount in entry.parameters

    def test_every_score_is_kept_or_not(self, groups: list[Group]) -> None:
        found = self._entry().load()(SelectionContext(groups, self._settings()))
        assert len(found) == len(groups), f"{len(found)} arrays for {len(groups)} groups"
        for group, kept in zip(groups, found, strict=True):
            assert kept.dtype == bool, f"{group.name}: what is kept is {kept.dtype}, not bool"
            assert kept.shape == group.scores.shape, f"{group.name}: what is kept has the shape {kept.shape}"

    def test_scores_stay_as_they_were(self) -> None:
        groups = list(grouped(cnn(), "weight").groups)
        before = {name: array.copy() for name, array in _arrays(groups).items()}
        self._select(groups)
        assert same_bits(before, _arrays(groups)), "it changes the scores"

    def test_the_same_again_is_the_same(self, groups: list[Group]) -> None:
        first = self._select(groups)
        np.random.random(3)
        assert all(np.array_equal(one, other) for one, other in zip(first, self._select(groups), strict=True))

    def test_a_larger_amount_removes_what_a_smaller_one_does_and_more(self, groups: list[Group]) -> None:
        if self._entry().amount is None:
            return
        weak, strong = self._select(groups), self._select(groups, self._stronger(1))
        assert all((more <= few).all() for few, more in zip(weak, strong, strict=True)), "a larger amount brings back"
        assert _total(strong) < _total(weak) < sum(group.scores.size for group in groups), "the amount changes nothing"

    def test_what_was_removed_stays_removed(self, groups: list[Group]) -> None:
        once = self._select(groups)
        pruned = [replace(group, removed=~kept) for group, kept in zip(groups, once, strict=True)]
        for settings in (self._settings(), self._stronger(1)):
            again = self._select(pruned, settings)
            assert all((after <= kept).all() for kept, after in zip(once, again, strict=True)), "something came back"

    def test_something_stays_of_every_layer_that_loses_units(self, groups: list[Group]) -> None:
        scores = np.linspace(0.1, 1, 12)
        parts = (np.arange(4), np.arange(4, 12))
        few = Group("coupled", scores, np.zeros(12, bool), groups[0].layers, keep_one=True, parts=parts)
        for group, kept in zip([*groups, few], self._select([*groups, few], self._stronger(40)), strict=True):
            assert not group.keep_one or kept.any(), f"nothing is left of {group.name}"
            assert all(kept.flat[part].any() for part in group.parts), f"nothing is left of a part of {group.name}"

    def test_scores_that_are_equal_or_far_apart_are_no_trouble(self, groups: list[Group]) -> None:
        for scores in (lambda s: 0 * s, lambda s: 0 * s + 0.5, lambda s: np.where(s == s.max(), 1e30, 1e-30)):
            odd = [replace(group, scores=scores(group.scores)) for group in groups]
            with np.errstate(divide="raise", over="raise", invalid="raise"):
                assert all(kept.dtype == bool for kept in self._select(odd))

    def test_no_group_is_no_trouble(self) -> None:
        assert list(self._select([])) == []

    def test_scores_that_are_not_numbers_are_refused_in_one_sentence(self, groups: list[Group]) -> None:
        lost = replace(groups[0], scores=np.full(groups[0].scores.shape, np.nan))
        with pytest.raises(UserError, match="are not a number") as caught:
            self._select([lost, *groups[1:]])
        assert "\n" not in str(caught.value)

    def test_one_value_a_layer_is_taken_where_it_is_offered(self, groups: list[Group]) -> None:
        layers = [layer.name for group in groups for layer in group.layers]
        for name, parameter in self._entry().parameters.items():
            if parameter.per_layer == "pruned":
                by_layer = {**self._settings(), name: dict.fromkeys(layers, self._settings()[name])}
                pairs = zip(self._select(groups), self._select(groups, by_layer), strict=True)
                assert all(np.array_equal(one, other) for one, other in pairs), f"{name}: `value_for` reads both forms"

    def test_a_method_uses_it(self) -> None:
        if not self._entry().needs_scores:
            return
        network = mlp()
        before = weights_of(network)
        result = prune(network, MethodSpec(score="random", selection=self.selection, **self.parameters), data=samples())
        assert result.figures["sparsity"] > 0, "nothing was removed"
        assert same_bits(before, weights_of(network)), "pruning changed the network that it was given"

    def _settings(self) -> dict[str, Any]:
        return all_settings(self._entry(), self.parameters)

    def _stronger(self, times: int) -> dict[str, Any]:
        """The settings with a larger amount; the more `times`, the larger."""
        settings, name = self._settings(), self._entry().amount
        for _ in range(times if name is not None else 0):
            settings[name] = raised(settings[name], self._entry().parameters[name].high)
        return settings

    def _select(self, groups: list[Group], settings: Mapping[str, Any] | None = None) -> list[np.ndarray]:
        return run_selection(self._entry(), groups, self._settings() if settings is None else settings)


def _arrays(groups: list[Group]) -> dict[str, np.ndarray]:
    return {f"{group.name} {part}": getattr(group, part) for group in groups for part in ("scores", "removed")}


def _total(kept: list[np.ndarray]) -> int:
    return sum(int(array.sum()) for array in kept)
