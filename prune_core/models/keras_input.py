"""What a serialised Keras model does to its input before its first weights: whether it takes pixels of [0, 1] or raw.

From the input on, everything that moves values, scales them or shifts them is followed, as a * x + b, up to the first
layer that does more. That layer gets 0 where the input is -b / a, and 1 where it is 1 / |a| further on: if [0, 1] lies
elsewhere, the network was made for other numbers. Read from the JSON and the stored statistics alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prune_core.data.values import RawInput

Statistics = Mapping[str, tuple[float, float]]
"""{layer name: mean and variance} that normalisations keep among their weights."""

# Layers and bare operations that hand their input's values on, or averages and maxima of them.
_MOVING = {
    *("ActivityRegularization", "AlphaDropout", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
    *("CenterCrop", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D", "Dropout", "Flatten", "GaussianDropout"),
    *("GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("Identity", "Masking", "Maximum", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Minimum", "Permute"),
    *("RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomPerspective", "RandomRotation"),
    *("RandomShear", "RandomTranslation", "RandomZoom", "RepeatVector", "Reshape", "Resizing", "SpatialDropout1D"),
    *("SpatialDropout2D", "SpatialDropout3D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D"),
    *("ZeroPadding2D", "ZeroPadding3D"),
    *("BroadcastTo", "Cast", "Copy", "ExpandDims", "Flip", "GetItem", "Moveaxis", "Pad", "Ravel", "Repeat", "Resize"),
    *("Split", "Squeeze", "Stack", "StopGradient", "Swapaxes", "Tile", "Transpose"),
}
_COUNTING = {"CategoryEncoding", "Embedding", "HashedCrossing", "Hashing", "OneHot"}
# Layers that scale their input and then do more than that.
_ENDING = {"BatchNormalization", "Discretization"}
_CHAINS = {"Sequential", "Pipeline"}
# Limits of the input value that the first layer gets as 0, and of the distance from there to the one that it gets as 1:
# beyond them, the network was not made for [0, 1].
_FARTHEST_ZERO = (-1.0, 2.0)
_LARGEST_UNIT = 2.0
# The same where they are mean and deviation of the data themselves: numbers in [0, 1] deviate by half at most.
_FARTHEST_MEAN = (-0.05, 1.05)
_LARGEST_DEVIATION = 0.55


@dataclass(frozen=True)
class _Seen:
    """What becomes of an input value x on its way: a * x + b, first changed by the layer `by`."""

    a: float = 1.0
    b: float = 0.0
    by: str | None = None
    is_standardised: bool = False

    def then(self, a: float, b: float, layer: str) -> "_Seen":
        return replace(self, a=self.a * a, b=self.b * a + b, by=self.by or layer)


@dataclass
class _Walk:
    """One way through a model; `found` collects what speaks for raw values."""

    statistics: Statistics
    found: list[RawInput] = field(default_factory=list)

    def through(self, model: Mapping[str, Any], seen: _Seen) -> _Seen | None:
        """What a model makes of it; None if it does more than move, scale and shift."""
        config = model["config"]
        if model["class_name"] in _CHAINS:
            after: _Seen | None = seen
            for layer in config["layers"]:
                after = None if after is None else self._layer(layer, after, ())
            return after
        reached: dict[str, _Seen] = {}
        for layer in config["layers"]:
            name = layer["name"]
            if layer["class_name"] == "InputLayer":
                reached[name] = seen
            for node in layer["inbound_nodes"]:
                constants = [*node["args"], *node["kwargs"].values()]
                arrived = [reached[tensor] for tensor in _tensors(constants) if tensor in reached]
                result = self._layer(layer, arrived[0], constants) if arrived else None
                if result is not None:
                    reached[name] = result
        return reached.get(_first_name(config["output_layers"]))

    def _layer(self, layer: Mapping[str, Any], seen: _Seen, arguments: Iterable[Any]) -> _Seen | None:
        kind, config = layer["class_name"], layer["config"]
        label = f"the {kind} {config.get('name', '')!r}"
        if kind == "TimeDistributed":
            return self._layer(config["layer"], seen, ())
        if kind in _CHAINS or kind == "Functional":
            return self.through(layer, seen)
        if kind == "InputLayer" or kind in _MOVING or (kind == "Activation" and config.get("activation") == "linear"):
            return seen
        if kind in _COUNTING:
            below = config.get("input_dim", config.get("num_tokens")) if seen == _Seen() else None
            self.found.append(RawInput(label, is_index=True, below=below))
            return None
        step = self._scaling(kind, config, arguments)
        if step is not None:
            after = seen.then(*step, label)
            if kind == "Normalization" and step != (1.0, 0.0):
                after = replace(after, is_standardised=not config.get("invert"))
            if kind not in _ENDING:
                return after
            seen = after
        if not _takes_pixels(seen):
            self.found.append(RawInput(seen.by or label))
        return None

    def _scaling(self, kind: str, config: Mapping[str, Any], arguments: Iterable[Any]) -> tuple[float, float] | None:
        """(a, b) of a layer that does a * x + b, constants averaged over channels; None for other layers."""
        if kind == "Rescaling":
            return _mean(config["scale"]), _mean(config["offset"])
        if kind in ("Normalization", "BatchNormalization"):
            given = config.get("mean") is not None and config.get("variance") is not None
            own = (_mean(config["mean"]), _mean(config["variance"])) if given else None
            mean, variance = own or self.statistics.get(config["name"], (0.0, 1.0))
            deviation = math.sqrt(max(variance, 1e-12))
            return (deviation, mean) if config.get("invert") else (1 / deviation, -mean / deviation)
        if kind == "Discretization":
            edges = [abs(edge) for edge in _numbers(config.get("bin_boundaries") or [])]
            return (1 / max(edges), 0.0) if any(edges) else None
        constants = [argument for argument in arguments if not list(_tensors([argument]))]
        if kind not in _ARITHMETIC or len(constants) != 1:
            return None
        is_second = bool(list(_tensors(list(arguments)[:1])))
        return _ARITHMETIC[kind](_mean(constants[0]), is_second)


_ARITHMETIC: dict[str, Callable[[float, bool], tuple[float, float] | None]] = {
    "Multiply": lambda c, is_second: (c, 0.0),
    "Add": lambda c, is_second: (1.0, c),
    "Subtract": lambda c, is_second: (1.0, -c) if is_second else (-1.0, c),
    "Divide": lambda c, is_second: (1 / c, 0.0) if is_second else None,
    "TrueDivide": lambda c, is_second: (1 / c, 0.0) if is_second else None,
}
"""(a, b) of operations on a tensor and a constant c, which comes second or first."""


def raw_input(model: Mapping[str, Any], statistics: Statistics) -> RawInput | None:
    """Why a network takes its numbers as they are stored; None if it takes values of about [0, 1], or says nothing.

    Args:
        model: serialised, as in the file's config.json.
        statistics: {layer name: (mean, variance)} of its normalisations, averages over channels.
    """
    walk = _Walk(statistics)
    try:
        walk.through(model, _Seen())
        dtypes = [dtype for dtype in input_dtypes(model) if not dtype.startswith(("float", "bfloat"))]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, ArithmeticError):
        return None  # not as Keras writes it: building the model will say so
    if walk.found:
        return walk.found[0]
    return RawInput(f"an input of {dtypes[0]}", is_index=True) if dtypes else None


def input_dtypes(model: Mapping[str, Any]) -> Iterator[str]:
    """The types of a serialised model's inputs."""
    for layer in model["config"]["layers"]:
        if layer["class_name"] == "InputLayer" and isinstance(layer["config"].get("dtype"), str):
            yield layer["config"]["dtype"]


def _takes_pixels(seen: _Seen) -> bool:
    """Whether values of [0, 1] are what a layer wants that gets a * x + b."""
    if seen.a == 0 or not math.isfinite(seen.a):
        return True
    low, high = _FARTHEST_MEAN if seen.is_standardised else _FARTHEST_ZERO
    largest = _LARGEST_DEVIATION if seen.is_standardised else _LARGEST_UNIT
    return low <= -seen.b / seen.a <= high and 1 / abs(seen.a) <= largest


def _tensors(value: Any) -> Iterator[str]:
    """Names of the layers whose outputs are among a call's arguments."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
        else:
            yield from _tensors(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _tensors(item)


def _numbers(value: Any) -> Iterator[float]:
    """The numbers of a constant: one, nested lists of them, or an array that was serialised."""
    if isinstance(value, Mapping):
        value = value["config"]["value"]
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    else:
        yield float(value)


def _mean(value: Any) -> float:
    numbers = list(_numbers(value))
    return math.fsum(numbers) / len(numbers)


def _first_name(outputs: Any) -> str:
    while not isinstance(outputs, str):
        outputs = next(iter(outputs.values())) if isinstance(outputs, Mapping) else outputs[0]
    return outputs
