"""Pictures of one trial: weights before and after, codebooks, masks, relevance, kept units. NumPy and matplotlib."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweeps.trial import TrialSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _DARK = "#0072B2", "#D55E00", "#222222"
MOST_TILES = 32
MOST_LAYERS = 6
_STRIP = 100
_REMOVED, _KEPT = "#dde1e6", "#17375e"


def weights_figure(look: TrialSummary) -> "Figure | None":
    """Histograms of each layer's kernel, dense and delivered, with the codebook's values where weights are shared."""
    from matplotlib.figure import Figure

    names = list(look.histograms)[:MOST_LAYERS]
    if not names:
        return None
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    height = 2.6 * rows
    figure = Figure(figsize=(11, height))  # fixed margins: computing them takes longer than the drawing
    figure.subplots_adjust(0.05, 0.45 / height, 0.99, 1 - 0.3 / height, wspace=0.16, hspace=0.5)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        histogram = look.histograms[name]
        centres = (histogram.edges[1:] + histogram.edges[:-1]) / 2
        axes.fill_between(centres, _log(histogram.before), step="mid", color=_BLUE, alpha=0.35, label="dense")
        axes.step(
            centres, _log(histogram.after), where="mid", color=_ORANGE, linewidth=1.2, label="delivered, not zero"
        )
        _codebook(axes, look, name)
        axes.set_ylim(0, 1.35 * max(1.0, axes.dataLim.ymax))  # room for the legend above the bars
        left = histogram.after.sum()
        axes.set_title(f"{name}: {left:,} left, {histogram.zeros:,} zeros", fontsize=9, loc="left")
        axes.set_xlabel("weight", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel("log10(1 + weights in a bin)", fontsize=8)
    grid[0].legend(fontsize=7, frameon=False, loc="upper left", ncols=3, columnspacing=1, handlelength=1.4)
    if more := len(look.histograms) - len(names):
        grid[len(names) - 1].set_xlabel(f"weight ({more} more layers are not drawn)", fontsize=8)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    return figure


def masks_figure(
    masks: Mapping[str, np.ndarray], look: TrialSummary, input_shape: Sequence[int], by_units: bool
) -> "Figure | None":
    """What is kept: of the input, of the first layer's units or weights, and of every hidden layer's units.

    None where nothing was removed.

    Args:
        masks: {weight path: bool array, True = kept}.
        look: of the same trial.
        input_shape: (height, width, channels), or anything else where the input is not an image.
        by_units: whether whole units were removed.
    """
    from matplotlib.figure import Figure

    kernels = {path.rpartition("/")[0]: mask for path, mask in masks.items() if mask.ndim > 1}
    if all(mask.all() for mask in kernels.values()):
        return None
    first = next(iter(kernels.values()))
    pictures = [
        picture
        for picture in (
            _relevance(look, input_shape),
            None if by_units else _connections(first, input_shape),
            _units(kernels) if by_units else _first_layer(first, input_shape),
        )
        if picture
    ]
    if not pictures:
        return None
    widths = [min(2.4, max(1.0, picture.image.shape[1] / picture.image.shape[0])) for picture in pictures]
    flattest = max(picture.image.shape[0] / picture.image.shape[1] for picture in pictures)
    height = 3.4 if len(pictures) > 1 else min(3.4, 0.8 + 11 * flattest)
    figure = Figure(figsize=(11, height))
    figure.subplots_adjust(0.01, 0.02, 0.99, 1 - 0.45 / height, wspace=0.06)
    for axes, picture in zip(
        figure.subplots(1, len(pictures), squeeze=False, width_ratios=widths)[0], pictures, strict=True
    ):
        _show(figure, axes, picture)
    return figure


@dataclass(frozen=True)
class _Picture:
    """An image with a title; of two colours (NaN: none) or on a scale, with the outline of another over it."""

    title: str
    image: np.ndarray
    is_mask: bool
    outline: np.ndarray | None = None


def _show(figure: "Figure", axes: "Axes", picture: _Picture) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([_REMOVED, _KEPT]) if picture.is_mask else "viridis"
    top = 1 if picture.is_mask else None
    shown = axes.imshow(picture.image, cmap=colours, interpolation="nearest", vmin=0, vmax=top)
    if picture.outline is not None and np.ptp(picture.outline):
        axes.contour(picture.outline, levels=[picture.outline.mean()], colors="white", linewidths=1.2)
    axes.set_title(picture.title, fontsize=9, loc="left")
    axes.set_anchor("NW")
    axes.set_axis_off()
    if not picture.is_mask:
        figure.colorbar(shown, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)


def _relevance(look: TrialSummary, shape: Sequence[int]) -> _Picture | None:
    if look.relevance is None or len(shape) != 3:
        return None
    seen = look.relevance.reshape(shape).sum(axis=-1)
    if look.example is None:
        return _Picture("relevance of each input pixel", seen, False)
    over = "relevance of each input pixel; outlined: a test image"
    return _Picture(over, seen, False, look.example.reshape(shape).sum(axis=-1))


def _connections(first: np.ndarray, shape: Sequence[int]) -> _Picture | None:
    """How many connections the first Dense layer keeps from each pixel."""
    if len(shape) != 3 or first.ndim != 2 or first.shape[0] != np.prod(shape):
        return None
    return _Picture("connections kept from each pixel", first.sum(axis=1).reshape(shape).sum(axis=-1), False)


def _first_layer(first: np.ndarray, shape: Sequence[int]) -> _Picture | None:
    """Masks of some units of the first layer, folded back to the image; of a convolution, its filters' windows."""
    if first.ndim == 2 and len(shape) == 3 and first.shape[0] == np.prod(shape):
        channels = shape[-1]
        tiles = np.asarray(first.T.reshape(-1, *shape).any(axis=-1))
    elif first.ndim == 4:
        channels = first.shape[2]
        tiles = np.moveaxis(np.asarray(first.any(axis=2)), -1, 0)
    else:
        return None
    chosen = tiles[np.linspace(0, len(tiles) - 1, min(MOST_TILES, len(tiles))).round().astype(int)]
    what = f"{len(chosen)} of {len(tiles)} units" if first.ndim == 2 else f"{len(chosen)} of {len(tiles)} filters"
    dark = "kept weights are dark" if channels == 1 else f"dark where the weight of any of {channels} channels is kept"
    return _Picture(f"first layer, {what}: {dark}", _tiled(chosen), True)


def _units(kernels: Mapping[str, np.ndarray]) -> _Picture | None:
    """Units of every hidden layer as dots, dark where kept; layers one below the other."""
    bands = []
    told = []
    for name, mask in list(kernels.items())[:MOST_LAYERS]:
        kept = mask.reshape(-1, mask.shape[-1]).any(axis=0)
        rows = -(-kept.size // _STRIP)
        band = np.full(rows * _STRIP, np.nan)
        band[: kept.size] = kept
        bands += [band.reshape(rows, _STRIP), np.full((2, _STRIP), np.nan)]
        told.append(f"{name} {kept.sum()} of {kept.size}")
    told += [f"{len(kernels) - MOST_LAYERS} more layers are not drawn"] * (len(kernels) > MOST_LAYERS)
    title = textwrap.fill("units kept (dark), from the top: " + ", ".join(told), 90)
    return _Picture(title, np.concatenate(bands[:-1]), True)


def _tiled(tiles: np.ndarray) -> np.ndarray:
    """(n, height, width) -> one image, a line of background between tiles."""
    count, height, width = tiles.shape
    columns = min(count, 8)
    rows = -(-count // columns)
    image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        image[top : top + height, left : left + width] = tile
    return image


def _codebook(axes: "Axes", look: TrialSummary, name: str) -> None:
    if name not in look.codebooks:
        return
    values, counts = look.codebooks[name]
    if 4 * values.size > counts.sum():  # a small layer whose weights happen to be few, not shared
        return
    there = values != 0
    axes.vlines(values[there], 0, _log(counts[there]), color=_DARK, linewidth=0.9, label="codebook")


def _log(counts: np.ndarray) -> np.ndarray:
    return np.log10(1 + counts)
