"""The suite of networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from prune_core.codec import decode, encode
from prune_core.errors import UserError
from prune_core.models import ModelInfo, build, check
from prune_core.models.keras_file import load_network
from prune_core.pipeline import prune
from prune_core.tasks import find_outputs
from prune_core.testing.fresh import plans_lightly
from prune_core.testing.networks import outputs_of, same_bits, weights_of
from prune_core.training import evaluate, train
from prune_core.weights import prunable_layers, scope

_CHECK = "from prune_core.models import check; check(arguments[0], arguments[1], tuple(arguments[2]), arguments[3])"


class ModelConformance:
    """Subclass it as `Test...`.

    Attributes:
        config: the whole section `models.<name>`, `builder` included (see `DatasetConformance` for files).
        input_shape: shape of one sample.
        classes: number of classes.
    """

    config: Mapping[str, Any]
    input_shape: tuple[int, ...] = (8, 8, 1)
    classes: int = 3
    name = "mine"

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls) -> keras.Model:
        """The network, as it is built."""
        return cls._built()

    @pytest.fixture(scope="class")
    @classmethod
    def x(cls) -> np.ndarray:
        """Samples, float32 (24, *input_shape)."""
        return np.random.default_rng(0).random((24, *cls.input_shape), dtype=np.float32)

    def test_it_is_checked_wherever_a_sweep_is_planned(self) -> None:
        plans_lightly(_CHECK, self.name, dict(self.config), self.input_shape, self.classes)

    def test_it_is_what_was_announced(self, network: keras.Model) -> None:
        info = self._info()
        assert info.kernel_layers == tuple(layer.name for layer in prunable_layers(network)), "other kernels"
        assert info.parameters == network.count_params(), "another number of parameters"
        assert network.input_shape == (None, *self.input_shape), "another input"
        assert network.output_shape in [(None, self.classes), *([(None, 1)] if self.classes == 2 else [])], (
            "another output"
        )

    def test_it_answers_with_logits_or_probabilities(self, network: keras.Model, x: np.ndarray) -> None:
        answers = outputs_of(network, x)
        assert np.isfinite(answers).all(), "an answer is not finite"
        if find_outputs(network, x).kind.is_probability:
            assert ((answers >= 0) & (answers <= 1)).all(), "a probability is none"

    def test_layers_are_called_the_same_each_time(self, network: keras.Model) -> None:
        """Masks name weights by their paths, so a name that Keras counts up ("dense_7") fits no second network."""
        assert list(weights_of(self._built())) == list(weights_of(network)), "names change: give every layer a name"

    def test_the_seed_determines_the_weights(self, network: keras.Model) -> None:
        keras.random.normal((5,))
        again = self._built()
        assert same_bits(weights_of(network), weights_of(again)), "other weights for the same seed"
        if self._info().fingerprint is None:
            other = weights_of(self._built(seed=1))
            assert not same_bits(weights_of(again), other), "the same weights for every seed"

    def test_it_learns(self, x: np.ndarray) -> None:
        network = self._built()
        y = np.arange(len(x)) % self.classes
        before = weights_of(network)
        train(network, _Splits(x, y), {"epochs": 1, "batch_size": 8}, seed=0)
        assert not same_bits(before, weights_of(network)), "training changes nothing"
        assert np.isfinite(evaluate(network, x, y).loss), "the loss is not finite"

    def test_it_is_stored_and_read_back_bit_for_bit(self, network: keras.Model, tmp_path: Path) -> None:
        assert same_bits(weights_of(decode(encode(network))), weights_of(network)), "encode and decode change it"
        network.save(tmp_path / "network.keras")
        assert same_bits(weights_of(load_network(tmp_path / "network.keras")), weights_of(network))

    def test_it_can_be_pruned(self, network: keras.Model, x: np.ndarray) -> None:
        assert scope(network, prune_output=False), "no layer to prune but its output"
        for method in ("weight", "unit"):
            result = prune(network, method, sparsity=0.5)
            assert result.figures["sparsity"] > 0, f"method={method} removes nothing"
            np.testing.assert_allclose(outputs_of(result.model, x), outputs_of(result.masked, x), atol=1e-5)

    def test_a_misspelt_key_is_named(self) -> None:
        with pytest.raises(UserError, match=r"models\.mine\.mispelt"):
            check(self.name, {**self.config, "mispelt": 1}, self.input_shape, self.classes)

    def _info(self) -> ModelInfo:
        return check(self.name, self.config, self.input_shape, self.classes)

    @classmethod
    def _built(cls, seed: int = 0) -> keras.Model:
        return build(cls.name, cls.config, cls.input_shape, cls.classes, seed)


class _Splits:
    """The same samples for every purpose."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x_train = self.x_val = x
        self.y_train = self.y_val = y
