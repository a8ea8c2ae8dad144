"""Least-squares reconstruction: what is left of each layer is refitted to the dense layer's outputs, without labels."""

from collections import Counter
from collections.abc import Callable, Mapping

import keras
import numpy as np

from prune_core.graph.exact import run_as_it_is
from prune_core.network import GraphStep, functional_graph
from prune_core.pruning import Pruning
from prune_core.recoveries.patches import can_be_unfolded, count_rows, rows_of
from prune_core.weights import PrunableLayer, prunable_layers

MOST_ROWS = 20_000
"""Rows of the equations of one layer: samples of a Dense layer, samples times positions of a convolution."""


def reconstruct(pruning: Pruning) -> None:
    """Refit every Dense layer and convolution, in the order of the network, to what the dense network's layer gives.

    For each unit the w_S that minimises |X_S w_S - y|^2 + d |w_S - v_S|^2: X are inputs of the layer in the network
    pruned and refitted so far, y are the unit's outputs in the dense network before the activation, S are the inputs
    whose weights v_S the unit has kept, d is `damping` times the mean of the diagonal of X' X. With a bias, X and y are
    centred and the bias follows from the means. Frantar & Alistarh 2022 (arXiv:2208.11580), He et al. 2017
    (arXiv:1707.06168). At most `samples` training samples are used, drawn with the seed.

    Layers that are called several times or are not trainable, grouped, depthwise and transposed convolutions and
    kernels inside of other layers stay as they are, and a warning names them.
    """
    x = pruning.inputs("recovery=reconstruct")
    settings = pruning.settings_of(pruning.spec.recovery_entry("reconstruct"))
    generator = np.random.default_rng(pruning.seed)
    chosen = x[np.sort(generator.permutation(len(x))[: settings["samples"]])]
    with pruning.watch.step("reconstruct"):
        rows: dict[str, np.ndarray] = {}
        targets: dict[str, np.ndarray] = {}

        def note(layer: PrunableLayer, step: GraphStep) -> None:
            total = count_rows(layer.layer, step)
            rows[layer.name] = np.sort(generator.permutation(total)[:MOST_ROWS])
            targets[layer.name] = _answers(layer, rows_of(layer.layer, step, rows[layer.name]))

        def refit(layer: PrunableLayer, step: GraphStep) -> None:
            if layer.name in targets:
                inputs = rows_of(layer.layer, step, rows[layer.name])
                _refit(layer, inputs, targets.pop(layer.name), held, settings["damping"])

        held = pruning.held_masks()
        _visit(pruning.dense, chosen, note)
        missed = _visit(pruning.model, chosen, refit)
        pruning.remove({})
    if missed:
        pruning.warn(f"recovery=reconstruct left {', '.join(missed)} as they are: layers of no kind that it refits")


def _visit(model: keras.Model, x: np.ndarray, visit: Callable[[PrunableLayer, GraphStep], None]) -> list[str]:
    """Run a network and show each layer that can be refitted before it runs; returns the kernels passed by."""
    graph = functional_graph(model)
    kernels = prunable_layers(model)
    calls: Counter[int] = Counter()
    run_as_it_is(graph, [x[:1]], lambda step: calls.update([id(step.operation)]))
    able = {
        id(layer.layer): layer
        for layer in kernels
        if calls[id(layer.layer)] == 1 and layer.kernel.trainable and can_be_unfolded(layer.layer)
    }

    def look(step: GraphStep) -> None:
        if id(step.operation) in able:
            visit(able[id(step.operation)], step)

    run_as_it_is(graph, [x], look)
    return [layer.name for layer in kernels if id(layer.layer) not in able]


def _columns(layer: PrunableLayer) -> np.ndarray:
    """The kernel as float64 (inputs of one unit, units)."""
    kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64)
    return kernel.reshape(-1, kernel.shape[-1])


def _answers(layer: PrunableLayer, inputs: np.ndarray) -> np.ndarray:
    """Outputs before the activation for rows of inputs, float64 (rows, units)."""
    outputs: np.ndarray = inputs @ _columns(layer)
    if layer.bias is None:
        return outputs
    outputs += keras.ops.convert_to_numpy(layer.bias)
    return outputs


def _refit(
    layer: PrunableLayer,
    inputs: np.ndarray,
    targets: np.ndarray,
    masks: Mapping[str, np.ndarray],
    damping: float,
) -> None:
    """Set a layer's kernel, and its bias if it has one, to the best fit under its mask."""
    columns = _columns(layer)
    kept = np.reshape(masks.get(layer.path, np.ones(layer.kernel.shape, bool)), columns.shape)
    has_bias = layer.bias is not None
    means = (inputs.mean(axis=0), targets.mean(axis=0)) if has_bias else (0.0, 0.0)
    fitted = np.where(kept, columns, 0.0)
    centred = inputs - means[0]
    missing = targets - means[1] - centred @ fitted
    products, missing_moments = centred.T @ centred, centred.T @ missing
    ridge = damping * float(np.mean(np.diag(products)))
    patterns, pattern_of = np.unique(kept, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        units = np.flatnonzero(pattern_of.ravel() == number)
        inside = np.flatnonzero(pattern)
        if len(inside) and ridge > 0:  # else no input varies, and only the bias can be learnt
            system = products[np.ix_(inside, inside)] + ridge * np.eye(len(inside))
            fitted[np.ix_(inside, units)] += np.linalg.solve(system, missing_moments[np.ix_(inside, units)])
    layer.kernel.assign(fitted.reshape(layer.kernel.shape))
    if layer.bias is not None:
        stays = masks.get(layer.bias_path or "", np.ones(layer.bias.shape, bool))
        layer.bias.assign(np.where(stays, means[1] - means[0] @ fitted, 0.0))
