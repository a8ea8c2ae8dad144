"""The suite of granularities."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest

from prune_core.axes import Granularity
from prune_core.granularities import Grouping, Masks
from prune_core.graph import shrink
from prune_core.graph.copying import copy_of
from prune_core.masks import apply_masks
from prune_core.pipeline import prune
from prune_core.scores import ScoringContext
from prune_core.spec import MethodSpec
from prune_core.testing.entries import EntryConformance, all_settings
from prune_core.testing.grouped import grouped, random_scores, scoring_context
from prune_core.testing.networks import INPUT_SHAPE, cnn, every_kernel, mlp, outputs_of, same_bits, samples, weights_of
from prune_core.weights import prunable_layers


class GranularityConformance(EntryConformance):
    """Subclass it as `Test...`.

    Attributes:
        granularity: name under which it is registered.
    """

    axis = "granularity"
    kind = Granularity
    granularity: str

    @pytest.fixture(scope="class", params=[mlp, cnn, every_kernel], ids=lambda make: make.__name__)
    @classmethod
    def network(cls, request: pytest.FixtureRequest) -> keras.Model:
        """The networks on which it is tried."""
        return request.param()

    def test_it_says_what_has_to_be_scored(self) -> None:
        assert self._entry().scored_as in ("weight", "unit")

    def test_groups_cover_what_is_scored(self, network: keras.Model) -> None:
        ctx = self._context(network)
        grouping = self._entry().load()(ctx, random_scores(ctx))
        assert grouping.groups, "there is no group"
        for group in grouping.groups:
            assert np.isfinite(group.scores).all(), f"a score of {group.name} is not finite"
            assert group.removed.shape == group.scores.shape, f"{group.name}: `removed` has another shape than `scores`"
            assert group.removed.dtype == bool, f"{group.name}: `removed` is {group.removed.dtype}, not bool"
            assert not group.removed.any(), f"{group.name}: nothing was removed before"
            assert set(np.concatenate([[0], *group.parts])) <= set(range(group.scores.size)), f"parts of {group.name}"
        owners = {layer.name for group in grouping.groups for layer in group.layers}
        scored = {layer.name for layer in ctx.layers if {layer.name, layer.path} & random_scores(ctx).keys()}
        assert owners <= {layer.name for layer in ctx.layers}, "a group has layers that are not in scope"
        forgotten = scored - owners - grouping.kept_whole.keys()
        assert not forgotten, f"{forgotten} are in no group: put them into `kept_whole` with the reason"

    def test_to_keep_everything_masks_nothing(self, network: keras.Model) -> None:
        grouping = self._grouped(network)
        assert all(mask.all() for mask in _checked_masks(network, grouping, _all_kept(grouping)).values())

    def test_one_element_of_any_group_masks_weights_in_scope(self, network: keras.Model) -> None:
        grouping = self._grouped(network)
        outside = {layer.path for layer in prunable_layers(network) if layer.is_output}
        for number, group in enumerate(grouping.groups):
            masks = _checked_masks(network, grouping, _without(grouping, number, 0))
            masked = {path for path, mask in masks.items() if not mask.all()}
            own = {path for layer in group.layers for path in (layer.path, layer.bias_path)}
            assert masked & own, f"the first element of {group.name} masks nothing of it"
            assert not masked & outside, f"{masked & outside} are masked and were not in scope"
            if not self._entry().removes:
                assert masked <= own, f"{masked - own} are masked, which are not of {group.name}"

    def test_where_less_is_kept_more_is_masked(self, network: keras.Model) -> None:
        grouping = self._grouped(network)
        few, many = (grouping.masks([_highest(group.scores, part) for group in grouping.groups]) for part in (0.3, 0.6))
        assert few.keys() == many.keys(), "other weights have masks where less is kept"
        assert all((few[path] <= many[path]).all() for path in few), "a mask grows where less is kept"

    def test_what_an_earlier_step_removed_is_seen(self, network: keras.Model) -> None:
        grouping = self._grouped(network)
        kept = [_highest(group.scores, 0.5) for group in grouping.groups]
        masks = grouping.masks(kept)
        again = self._grouped(network, masks)
        for group, wanted in zip(again.groups, kept, strict=True):
            assert np.array_equal(group.removed, ~wanted), f"{group.name}: `removed` is not what ctx.masks says"
        after = again.masks(kept)
        assert all(np.array_equal(masks[path], mask) for path, mask in after.items()), "the same again masks more"

    def test_the_network_and_the_scores_stay_as_they_were(self, network: keras.Model) -> None:
        ctx = self._context(network)
        scores = random_scores(ctx)
        before = {**weights_of(network), **{f"score of {name}": values.copy() for name, values in scores.items()}}
        grouping = self._entry().load()(ctx, scores)
        grouping.masks(_all_kept(grouping))
        after = {**weights_of(network), **{f"score of {name}": values for name, values in scores.items()}}
        assert same_bits(before, after), "it changes the network or the scores"

    def test_the_same_again_is_the_same(self, network: keras.Model) -> None:
        first, second = (self._grouped(network) for _ in range(2))
        assert [group.name for group in first.groups] == [group.name for group in second.groups]
        kept = [_highest(group.scores, 0.5) for group in first.groups]
        assert same_bits(first.masks(kept), second.masks(kept)), "other masks the second time"

    def test_what_is_removed_physically_changes_no_output(self, network: keras.Model) -> None:
        if not self._entry().removes:
            return
        grouping = self._grouped(network)
        masked = copy_of(network)
        apply_masks(masked, grouping.masks([_highest(group.scores, 0.5) for group in grouping.groups]))
        shrunk = shrink(masked, INPUT_SHAPE).model
        x, _ = samples()
        np.testing.assert_allclose(outputs_of(shrunk, x), outputs_of(masked, x), atol=1e-5)
        assert shrunk.count_params() < network.count_params(), "nothing is gone physically"

    def test_a_method_uses_it(self) -> None:
        network = mlp()
        before = weights_of(network)
        spec = MethodSpec(score="random", granularity=self.granularity, sparsity=0.5, **self._given())
        result = prune(network, spec)
        assert result.figures["sparsity"] > 0, "nothing was removed"
        assert same_bits(before, weights_of(network)), "pruning changed the network that it was given"

    def _context(self, network: keras.Model) -> ScoringContext:
        entry = self._entry()
        return scoring_context(network, entry.scored_as, parameters=all_settings(entry, self.parameters))

    def _grouped(self, network: keras.Model, masks: Masks | None = None) -> Grouping:
        return grouped(network, self.granularity, masks, self.parameters)


def _checked_masks(network: keras.Model, grouping: Grouping, kept: Sequence[np.ndarray]) -> Masks:
    """The masks of what is kept, each of the shape of a weight."""
    weights = weights_of(network)
    masks = grouping.masks(kept)
    for path, mask in masks.items():
        assert path in weights, f"there is no weight {path!r}"
        assert mask.dtype == bool, f"the mask of {path} is {mask.dtype}, not bool"
        assert mask.shape == weights[path].shape, f"the mask of {path} has the shape {mask.shape}"
    return masks


def _all_kept(grouping: Grouping) -> list[np.ndarray]:
    return [np.ones(group.scores.shape, bool) for group in grouping.groups]


def _without(grouping: Grouping, number: int, element: int) -> list[np.ndarray]:
    """Everything but one element of one group."""
    kept = _all_kept(grouping)
    kept[number].flat[element] = False
    return kept


def _highest(scores: np.ndarray, part: float) -> np.ndarray:
    """A part of the scores, the highest, at least one; bool of their shape."""
    ranks = np.argsort(np.argsort(scores, axis=None))
    return (ranks >= min(scores.size - 1, int((1 - part) * scores.size))).reshape(scores.shape)
