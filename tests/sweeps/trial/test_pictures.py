"""The picture that every trial writes."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from sweeps.trial import pictures

DENSE = {"dense_1/kernel": np.eye(64, 32, dtype=bool), "dense_1/bias": np.ones(32, bool)}


@pytest.mark.parametrize(
    ("masks", "by_products", "shape"),
    [
        (DENSE, {}, (8, 8, 1)),
        (DENSE, {"input_relevance": np.linspace(0, 1, 64)}, (8, 8, 1)),
        (DENSE, {"input_relevance": np.zeros(64)}, (64,)),
        ({"block/" * 20 + "conv/kernel": np.zeros((3, 3, 1, 4), bool)}, {}, (200, 300, 1)),
        ({"conv/kernel": np.ones((3, 3, 3, 4), bool)}, {"input_relevance": np.ones((200, 300, 3))}, (200, 300, 3)),
        ({f"conv_{number}/kernel": np.ones((1, 4), bool) for number in range(60)}, {}, (4,)),
        ({}, {}, (8, 8, 1)),
    ],
    ids=["image", "relevance", "no image", "dead", "large", "many", "nothing"],
)
def test_masks_of_any_network_can_be_drawn(tmp_path: Path, masks: dict, by_products: dict, shape: tuple) -> None:
    pictures.masks(masks, by_products, shape, tmp_path / "masks.png", "unit sparsity=0.5")
    assert matplotlib.image.imread(tmp_path / "masks.png")[..., :3].min() < 0.5


def test_a_long_title_makes_the_picture_wider(tmp_path: Path) -> None:
    def width(title: str) -> int:
        pictures.masks(DENSE, {}, (64,), tmp_path / "masks.png", title)
        image = matplotlib.image.imread(tmp_path / "masks.png")
        assert (image[:, -8:, :3] == 1).all()  # nothing is cut off
        return image.shape[1]

    assert width("random granularity=weight sparsity=0.3 recovery=finetune lenet_5 fashion_mnist seed 0") > width("x")


def test_a_bar_is_filled_as_far_as_weights_are_kept(tmp_path: Path) -> None:
    def blue(share: float) -> int:
        kept = np.arange(1000).reshape(10, 100) < 1000 * share
        pictures.masks({"d/kernel": kept}, {}, (10,), tmp_path / "masks.png", "")
        image = matplotlib.image.imread(tmp_path / "masks.png")[..., :3]
        return int(np.all(np.abs(image - (0, 0x72 / 255, 0xB2 / 255)) < 0.02, axis=-1).sum())

    assert blue(0.5) == pytest.approx(blue(1.0) / 2, rel=0.05)
    assert blue(0.0) == 0
