"""The suite of whole methods: score, selection, schedule and recovery together."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from prune_core.codec import decode, encode
from prune_core.masks import count_parameters
from prune_core.method_keys import with_own_parameters
from prune_core.pipeline import PruneResult, prune
from prune_core.scores import unit_axis
from prune_core.spec import MethodSpec, method_spec
from prune_core.testing.entries import raised
from prune_core.testing.networks import cnn, mlp, outputs_of, same_bits, samples, weights_of
from prune_core.testing.steps import TRAINING
from prune_core.weights import prunable_layers


class MethodConformance:
    """Subclass it as `Test...`.

    Attributes:
        method: registered name, or a `MethodSpec`.
        parameters: with a name: its parameters, e.g. {"sparsity": 0.5}.
    """

    method: str | MethodSpec
    parameters: Mapping[str, Any] = {}

    @pytest.fixture(scope="class", params=[mlp, cnn], ids=lambda make: make.__name__)
    @classmethod
    def pruned(cls, request: pytest.FixtureRequest) -> tuple[keras.Model, dict[str, np.ndarray], PruneResult]:
        """(the network given, its weights before, what came out)."""
        network = request.param()
        before = weights_of(network)
        return network, before, cls._prune(network)

    def test_the_network_given_stays_as_it_was(self, pruned: Any) -> None:
        network, before, _ = pruned
        assert same_bits(before, weights_of(network)), "pruning changed the network that it was given"

    def test_masked_weights_are_zero(self, pruned: Any) -> None:
        _, before, result = pruned
        masked = weights_of(result.masked)
        for path, mask in result.masks.items():
            assert mask.dtype == bool, f"the mask of {path} is {mask.dtype}, not bool"
            assert mask.shape == before[path].shape, f"the mask of {path} has the shape {mask.shape}"
            assert not masked[path][~mask].any(), f"{path} is not zero where its mask says so"

    def test_one_shot_pruning_changes_nothing_but_what_it_removes(self, pruned: Any) -> None:
        _, before, result = pruned
        if not self._spec().trains and not self._spec().recoveries:
            wanted = {path: np.where(result.masks.get(path, True), value, 0) for path, value in before.items()}
            found = weights_of(result.masked)
            assert all(np.array_equal(wanted[path], found[path]) for path in wanted), "a weight that stays is changed"

    def test_the_exact_fraction_goes(self, pruned: Any) -> None:
        network, _, result = pruned
        spec = self._spec()
        count, granularity = spec.selection_entry.count, spec.granularity_entry
        if count is None or granularity.name != granularity.scored_as or not isinstance(spec.amount, float):
            return
        for layer in prunable_layers(network)[:-1]:
            mask, axis = result.masks[layer.path], unit_axis(layer)
            if granularity.scored_as == "unit" and axis is not None:
                mask = np.moveaxis(mask, axis, -1).reshape(-1, mask.shape[axis]).any(axis=0)
            assert (~mask).sum() == count(spec.amount, mask.size), f"{layer.name}: {(~mask).sum()} are gone"

    def test_what_is_delivered_computes_what_the_masked_network_does(self, pruned: Any) -> None:
        _, _, result = pruned
        x, _ = samples()
        found = outputs_of(result.model, x)
        assert np.isfinite(found).all(), "the delivered network answers with numbers that are not finite"
        if not self._spec().transforms:
            np.testing.assert_allclose(found, outputs_of(result.masked, x), atol=1e-5)

    def test_it_is_stored_and_read_back_bit_for_bit(self, pruned: Any) -> None:
        _, _, result = pruned
        again = decode(encode(result.model))
        assert same_bits(weights_of(result.model), weights_of(again))

    def test_the_figures_tell_what_was_delivered(self, pruned: Any) -> None:
        network, _, result = pruned
        figures = result.figures
        kernels = {layer.name: layer.kernel.numpy() for layer in prunable_layers(result.masked)[:-1]}
        sizes = {name: kernel.size for name, kernel in kernels.items()}
        zeros = {name: kernel.size - np.count_nonzero(kernel) for name, kernel in kernels.items()}
        for name in kernels:
            assert figures[f"sparsity.{name}"] == pytest.approx(zeros[name] / sizes[name])
        assert figures["sparsity"] == pytest.approx(sum(zeros.values()) / sum(sizes.values()))
        assert figures["params_total"] == count_parameters(network)[0]
        assert figures["params_nonzero"] == count_parameters(result.model)[1]
        assert figures["macs"] <= figures["macs_baseline"]
        for layer in prunable_layers(result.model):
            axis = unit_axis(layer)
            if f"units.{layer.name}" in figures and axis is not None:
                assert figures[f"units.{layer.name}"] == layer.kernel.shape[axis]
            kernel = layer.kernel.numpy()
            if f"n_clusters.{layer.name}" in figures:
                assert np.unique(kernel[kernel != 0]).size <= figures[f"n_clusters.{layer.name}"]

    def test_the_output_layer_is_whole_unless_asked(self, pruned: Any) -> None:
        _, _, result = pruned
        assert not [path for path in result.masks if path.startswith("output/")], "the output layer is masked"

    def test_the_output_layer_is_pruned_if_asked_and_keeps_its_outputs(self) -> None:
        everywhere = self._prune(mlp(), prune_output=True)
        assert everywhere.model.output_shape == (None, 4), "an output has gone"
        if self._spec().is_scored:
            assert "output/kernel" in everywhere.masks, "prune_output=True leaves the output layer out"

    def test_the_same_again_is_the_same(self) -> None:
        first, second = (self._prune(mlp(), seed=3) for _ in range(2))
        assert same_bits(first.masks, second.masks), "other masks the second time"
        assert same_bits(weights_of(first.model), weights_of(second.model)), "other weights the second time"

    def test_a_stronger_setting_removes_what_a_weaker_one_does_and_more(self) -> None:
        spec = self._spec()
        if not spec.is_scored or spec.schedule_entry.repeats(spec.settings_of(spec.schedule_entry)) > 1:
            return  # what is scored again in another network may be ranked otherwise
        spec = _without_repair(spec)
        weak, strong = (prune(mlp(), some, data=samples()).masks for some in (spec, _stronger(spec)))
        assert all((strong[path] <= mask).all() for path, mask in weak.items()), "a mask does not only shrink"

    @classmethod
    def _spec(cls) -> MethodSpec:
        return method_spec(cls.method, **cls.parameters)

    @classmethod
    def _prune(cls, network: keras.Model, **switches: Any) -> PruneResult:
        return prune(network, cls._spec(), data=samples(), training=TRAINING, **switches)


def _without_repair(spec: MethodSpec) -> MethodSpec:
    """What a method removes, without what follows."""
    parameters = {**spec.without_transforms().parameters(), "recovery": "none"}
    return MethodSpec.from_parameters(with_own_parameters(parameters))


def _stronger(spec: MethodSpec) -> MethodSpec:
    name = spec.selection_entry.amount
    if name is None:
        return spec
    bound = spec.selection_entry.parameters[name].high
    return spec.replaced(**{name: raised(spec.values[name], bound)})
