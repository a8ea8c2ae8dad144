"""Weight sharing: the weights of each layer replaced by the few values of a k-means codebook."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import ml_dtypes
import numpy as np

from prune_core.errors import UserError
from prune_core.transforms.base import Transforming
from prune_core.transforms.kmeans import Codebook, kmeans_1d
from prune_core.weights import PrunableLayer, prunable_layers

__all__ = ["ClusterResult", "Codebook", "cluster_weights", "kmeans_1d", "weight_sharing"]


def weight_sharing(transforming: Transforming) -> None:
    """Share the weights of each layer, as `cluster_weights` does with `n_clusters`."""
    with transforming.watch.step("cluster"):
        shared = cluster_weights(
            transforming.model,
            transforming.parameters["n_clusters"],
            include_biases=transforming.spec.include_biases,
        )
    transforming.figures |= {f"n_clusters.{name}": float(n) for name, n in shared.n_clusters.items()}
    transforming.figures["unique_values"] = shared.unique_values  # zeros stay what they are: other counts hold


@dataclass(frozen=True)
class ClusterResult:
    """What `cluster_weights` did to a network.

    Attributes:
        n_clusters: {layer name: number of distinct non-zero values its weights have now}.
        unique_values: number of distinct values among all clustered weights of the network, a value that two layers
            share counted once; zeros, if there are any, are one of them.
        codebooks: {weight path: (n_clusters,) its layer's values, ascending}; dtype of the weight.
    """

    n_clusters: dict[str, int]
    unique_values: int
    codebooks: dict[str, np.ndarray]


def cluster_weights(model: keras.Model, n_clusters: int | Sequence[int], include_biases: bool = False) -> ClusterResult:
    """Replace the non-zero weights of every prunable layer, in place, by at most `n_clusters` shared values.

    Every layer has a codebook of its own, the output layer too. Zeros stay zero and are not a cluster; no other weight
    becomes zero (a center that is zero, such as that of -1 and 1, becomes the smallest normal number instead, so that
    masks and counts of non-zero weights stay true).

    Args:
        model: the network; its weights are changed.
        n_clusters: one number for all layers, or one a layer in the order of `prunable_layers`.
        include_biases: whether a layer's bias shares its kernel's codebook; else biases stay as they are.

    Raises:
        UserError: a number below 1, a list of the wrong length, or weights that are not finite.
    """
    layers = prunable_layers(model)
    counts = _counts_per_layer(n_clusters, layers)
    used: dict[str, int] = {}
    codebooks: dict[str, np.ndarray] = {}
    distinct: list[np.ndarray] = []
    for layer, count in zip(layers, counts, strict=True):
        codebook, has_zeros = _share_weights(layer, count, include_biases)
        used[layer.name] = codebook.size
        codebooks[layer.path] = codebook
        if include_biases and layer.bias_path is not None:
            codebooks[layer.bias_path] = codebook
        distinct += [codebook, np.zeros(int(has_zeros), codebook.dtype)]
    return ClusterResult(used, np.unique(np.concatenate(distinct)).size if distinct else 0, codebooks)


def _counts_per_layer(n_clusters: int | Sequence[int], layers: list[PrunableLayer]) -> list[int]:
    given = list(n_clusters) if isinstance(n_clusters, Sequence) else [n_clusters] * len(layers)
    if len(given) != len(layers):
        names = ", ".join(layer.name for layer in layers)
        raise UserError(
            f"n_clusters has {len(given)} numbers but the network has {len(layers)} layers to cluster: {names}"
        )
    counts = [operator.index(count) for count in given]
    if any(count < 1 for count in counts):
        raise UserError(f"n_clusters={n_clusters} must be whole numbers of at least 1")
    return counts


def _share_weights(layer: PrunableLayer, k: int, include_biases: bool) -> tuple[np.ndarray, bool]:
    """Cluster one layer in place: its codebook in the kernel's dtype, and whether any of its weights is zero."""
    variables = [layer.kernel] + ([layer.bias] if include_biases and layer.bias is not None else [])
    arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
    if arrays[0].dtype.kind in "iub":
        raise UserError(f"layer {layer.name!r} holds {arrays[0].dtype}: cluster the network before quantising it")
    together = np.concatenate([array.reshape(-1) for array in arrays])
    nonzero = together != 0
    try:
        found = kmeans_1d(together[nonzero], k)
    except UserError as error:
        raise UserError(f"layer {layer.name!r}: {error}") from error
    centers = _without_zero(found.centers)
    shared = together.copy()
    shared[nonzero] = centers[found.indices]
    sizes = np.cumsum([array.size for array in arrays])[:-1]
    for variable, array, piece in zip(variables, arrays, np.split(shared, sizes), strict=True):
        variable.assign(piece.reshape(array.shape))
    return np.unique(centers), not nonzero.all()


def _without_zero(centers: np.ndarray) -> np.ndarray:
    """A center that is zero moved to the smallest normal number of its dtype, which no sum of products will show."""
    normal = ml_dtypes.finfo(centers.dtype).smallest_normal  # type: ignore[no-untyped-call]
    smallest = np.asarray(float(normal)).astype(centers.dtype)
    return np.where(centers == 0, smallest, centers)
