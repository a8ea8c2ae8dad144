"""What is done to the weights of the pruned and shrunk network, last of all.

To add one, write a function `(transforming: Transforming) -> None` in a file of this folder and name it below. It
changes `transforming.model`, or puts another one in its place. Other packages add theirs through the entry-point group
"prune_core.transforms", which points at a `Transform`. A transform is done where its switch, a parameter, has a value.
"""

from typing import TYPE_CHECKING

from prune_core.axes import TRANSFORMS as TRANSFORMS
from prune_core.axes import Transform as Transform
from prune_core.entries import Parameter
from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.transforms.base import Transforming as Transforming
    from prune_core.transforms.clustering import cluster_weights as cluster_weights
    from prune_core.transforms.kmeans import kmeans_1d as kmeans_1d

_HOMES = {"Transforming": "base", "cluster_weights": "clustering", "kmeans_1d": "kmeans"}
__all__ = ["TRANSFORMS", "Transform", *_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)

for _transform in (
    Transform(
        "weight_sharing",
        "prune_core.transforms.clustering:weight_sharing",
        parameters={"n_clusters": Parameter("whole", low=1, default=None, per_layer="all")},
        switch="n_clusters",
        version=2,
    ),
):
    TRANSFORMS.register(_transform.name, _transform)
