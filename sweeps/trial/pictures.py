"""Pictures of one piece of work, drawn by the worker that did it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

_BLUE, _ORANGE = "#0072B2", "#E69F00"  # Okabe and Ito's colours stay apart for colour-blind readers
_GREY = "#dde1e6"
_DPI = 80
_ROW = 28
_LONGEST_NAME = 30


def training_curve(history: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """Loss and validation accuracy by epoch."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    loss = figure.add_subplot()
    epochs = range(1, len(history) + 1)
    loss.plot(epochs, [figures["loss"] for figures in history], color=_BLUE, label="training loss")
    loss.set(xlabel="epoch", ylabel="training loss", title=title)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    """What is left: by layer, and seen from the input (relevance of every pixel, or its remaining connections).

    Drawn in pixels, without axes: these would take most of the time, and every trial draws such a picture.
    """
    kernels = {name: mask for name, mask in masks.items() if mask.ndim > 1}
    caption, values = _input_map(kernels, by_products, input_shape) or ("", np.zeros((0, 0)))
    image = _enlarged(values)
    names = [name.removesuffix("/kernel")[-_LONGEST_NAME:] for name in kernels]  # layers of two kernels name both
    left = 20 + 7 * max(map(len, names), default=0)
    width = left + 340 + (max(280, 50 + image.shape[1]) if image.size else 0)
    width = max(width, 24 + 7 * len(title))
    height = 60 + max(_ROW * max(5, len(kernels)), 40 + len(image))
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    figure.text(12, height - 16, title, fontsize=10, verticalalignment="center", transform=None)
    for row, (name, mask) in enumerate(zip(names, kernels.values(), strict=True), start=2):
        _kept(figure, name, mask, left, height - _ROW * row)
    if image.size:
        bounds = f"{values.min():.3g} (dark) to {values.max():.3g}"
        _map(figure, image, (caption, bounds), left + 370, height - 40)
    figure.savefig(path)


def _kept(figure: Figure, name: str, mask: np.ndarray, left: int, middle: int) -> None:
    """A bar whose filled part is the fraction of kept weights, between the layer's name and the numbers."""
    width = 180
    kept = np.count_nonzero(mask)
    texts: dict[str, Any] = {"verticalalignment": "center", "transform": None, "fontsize": 9}
    figure.text(left - 8, middle, name, horizontalalignment="right", **texts)
    for share, colour in ((1.0, _GREY), (kept / mask.size, _BLUE)):
        figure.add_artist(Rectangle((left, middle - 10), width * share, 20, color=colour, linewidth=0, transform=None))
    figure.text(left + width + 6, middle, f"{kept:,} of {mask.size:,}", **texts)


def _enlarged(values: np.ndarray) -> np.ndarray:
    """Every value as a square of pixels, so that small images can be seen."""
    side = max(1, 130 // max(values.shape)) if values.size else 1
    return np.kron(values, np.ones((side, side)))


def _map(figure: Figure, image: np.ndarray, captions: tuple[str, str], left: int, top: int) -> None:
    """An image from dark (least) to yellow (most), with a line of text above it and one below."""
    figure.figimage(image, left, top - 14 - len(image), cmap="viridis")
    for text, middle in zip(captions, (top, top - 26 - len(image)), strict=True):
        figure.text(left, middle, text, fontsize=9, verticalalignment="center", transform=None)


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
