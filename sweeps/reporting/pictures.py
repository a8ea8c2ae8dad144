"""Pictures of one piece of work, drawn by the worker that did it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BLUE, _ORANGE = "#0072B2", "#E69F00"  # Okabe and Ito's colours stay apart for colour-blind readers


def training_curve(history: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """Loss and validation accuracy by epoch."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    loss = figure.add_subplot()
    epochs = range(1, len(history) + 1)
    loss.plot(epochs, [figures["loss"] for figures in history], color=_BLUE, label="training loss")
    loss.set(xlabel="epoch", ylabel="training loss", title=title)
    accuracy = loss.twinx()
    accuracy.plot(epochs, [figures["val_accuracy"] for figures in history], color=_ORANGE, label="validation accuracy")
    accuracy.set_ylabel("validation accuracy")
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=100)


def masks(
    masks: Mapping[str, np.ndarray],
    by_products: Mapping[str, np.ndarray],
    input_shape: Sequence[int],
    path: Path,
    title: str,
) -> None:
    """What is left: by layer, and seen from the input (relevance of every pixel, or its remaining connections)."""
    kernels = {name: mask for name, mask in masks.items() if mask.ndim > 1}
    seen = _input_map(kernels, by_products, input_shape)
    height = 1.4 + 0.35 * max(4, len(kernels))
    figure = Figure(figsize=(9 if seen else 5.5, height))  # places are given: layout engines draw everything twice
    figure.suptitle(title, fontsize=10)
    bottom, top = 0.55 / height, 1 - 0.65 / height
    _kept_by_layer(figure.add_axes((0.15, bottom, 0.42 if seen else 0.8, top - bottom)), kernels)
    if seen:
        caption, values = seen
        axes = figure.add_axes((0.63, bottom, 0.26, top - bottom))
        image = axes.imshow(values, cmap="viridis")
        axes.set_title(caption, fontsize=9)
        axes.set_axis_off()
        figure.colorbar(image, cax=figure.add_axes((0.91, bottom, 0.015, top - bottom)))
    figure.savefig(path, dpi=80)


def _kept_by_layer(axes: Axes, kernels: Mapping[str, np.ndarray]) -> None:
    names = [name.rpartition("/")[0] for name in kernels]
    shares = [100 * mask.mean() for mask in kernels.values()]
    bars = axes.barh(names, shares, color=_BLUE)
    axes.bar_label(bars, [f"{mask.sum():,} of {mask.size:,}" for mask in kernels.values()], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlim=(0, 160), xticks=range(0, 101, 25), xlabel="weights kept (%)")


def _input_map(
    kernels: Mapping[str, np.ndarray], by_products: Mapping[str, np.ndarray], input_shape: Sequence[int]
) -> tuple[str, np.ndarray] | None:
    """(caption, image) over the input's height and width; None where there is nothing to see."""
    if len(input_shape) != 3:
        return None
    if "input_relevance" in by_products:
        return "mean relevance of each input pixel", by_products["input_relevance"].reshape(input_shape).sum(axis=-1)
    first = next(iter(kernels.values()), None)
    if first is None or first.ndim != 2 or first.shape[0] != np.prod(input_shape):
        return None
    connections = first.sum(axis=1).reshape(input_shape).sum(axis=-1)
    return ("connections kept from each input pixel", connections) if np.ptp(connections) else None
