"""Pictures of one trial: what their titles say of what is not drawn."""

import numpy as np

from sweeps.reporting.figures.trial import MOST_LAYERS, masks_figure, weights_figure
from sweeps.trial import TrialSummary
from sweeps.trial.summary import Histogram


def titles(masks: dict[str, np.ndarray], shape: tuple[int, ...], by_units: bool) -> list[str]:
    figure = masks_figure(masks, TrialSummary(), shape, by_units)
    return [axes.get_title("left").replace("\n", " ") for axes in figure.axes]


def test_filters_of_several_channels_are_said_to_be_drawn_together():
    kept = np.arange(3 * 3 * 3 * 4).reshape(3, 3, 3, 4) % 2 == 0
    assert titles({"conv/kernel": kept}, (8, 8, 3), False) == [
        "first layer, 4 of 4 filters: dark where the weight of any of 3 channels is kept"
    ]
    assert titles({"conv/kernel": kept[:, :, :1]}, (8, 8, 1), False) == [
        "first layer, 4 of 4 filters: kept weights are dark"
    ]


def test_layers_that_are_not_drawn_are_counted():
    kept = np.arange(12).reshape(3, 4) % 4 > 0
    names = [f"dense_{number}" for number in range(MOST_LAYERS + 2)]
    (title,) = titles({f"{name}/kernel": kept for name in names}, (3,), True)
    assert title.endswith("dense_5 3 of 4, 2 more layers are not drawn")
    flat = Histogram(np.linspace(-1, 1, 4), np.ones(3), np.ones(3), 0)
    figure = weights_figure(TrialSummary(histograms=dict.fromkeys(names, flat)))
    assert figure.axes[-1].get_xlabel() == "weight (2 more layers are not drawn)"
