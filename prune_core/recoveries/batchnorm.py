"""Moments of batch normalizations estimated again, without labels."""

from typing import Any

import keras
import numpy as np

from prune_core.graph.exact import run_as_it_is
from prune_core.network import GraphStep, functional_graph, leaf_layers
from prune_core.pruning import Pruning

_Moments = tuple[np.ndarray, np.ndarray]


def batchnorm(pruning: Pruning) -> None:
    """Set the moving mean and variance of every BatchNormalization to those of its inputs in the pruned network.

    Li et al. 2020, "EagleEye" (arXiv:2007.02491), section 3.3. The moments are exact over `samples` training samples
    (drawn with the seed, without labels), layer by layer: those of a layer are taken with the layers before it renewed.
    A layer that is called several times gets the mean over its calls. What was removed stays removed.
    """
    x = pruning.inputs("recovery=batchnorm")
    wanted = [layer for _, layer in leaf_layers(pruning.model) if isinstance(layer, keras.layers.BatchNormalization)]
    if not wanted:
        pruning.warn("recovery=batchnorm did nothing: the network has no BatchNormalization")
        return
    count = min(pruning.settings_of(pruning.spec.recovery_entry("batchnorm"))["samples"], len(x))
    chosen = np.sort(np.random.default_rng(pruning.seed).permutation(len(x))[:count])
    seen: dict[int, list[_Moments]] = {}

    def renew(step: GraphStep) -> None:
        layer = step.operation
        if isinstance(layer, keras.layers.BatchNormalization):
            calls = seen.setdefault(id(layer), [])
            calls.append(_moments(layer, step.inputs[0]))
            layer.moving_mean.assign(np.mean([mean for mean, _ in calls], axis=0))
            layer.moving_variance.assign(np.mean([variance for _, variance in calls], axis=0))

    with pruning.watch.step("batchnorm"):
        run_as_it_is(functional_graph(pruning.model), [x[chosen]], renew)
        pruning.remove({})
    if missed := [layer.name for layer in wanted if id(layer) not in seen]:
        pruning.warn(f"recovery=batchnorm could not reach {' and '.join(missed)}, inside of a layer")


def _moments(layer: keras.layers.BatchNormalization, inputs: Any) -> _Moments:
    """Mean and variance of each channel, in float64; both (channels,)."""
    values = keras.ops.convert_to_numpy(inputs)
    axis = layer.axis % values.ndim
    others = tuple(i for i in range(values.ndim) if i != axis)
    return values.mean(axis=others, dtype=np.float64), values.var(axis=others, dtype=np.float64)
