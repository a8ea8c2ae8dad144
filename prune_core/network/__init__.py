"""What a Keras network consists of: its layers and weights by path, its calls in order, the shapes that go through it.

`prune_core.network.keras_internals` is the only module that uses private names of Keras.
"""

from typing import TYPE_CHECKING

from prune_core.faces import lazy_face

if TYPE_CHECKING:
    from prune_core.network.places import Place as Place
    from prune_core.network.places import layers_inside as layers_inside
    from prune_core.network.places import leaf_layers as leaf_layers
    from prune_core.network.places import weight_variables as weight_variables
    from prune_core.network.sample_shape import fits as fits
    from prune_core.network.sample_shape import fitted_shape as fitted_shape
    from prune_core.network.shapes import carry_shapes as carry_shapes
    from prune_core.network.walk import GraphStep as GraphStep
    from prune_core.network.walk import functional_graph as functional_graph
    from prune_core.network.walk import graph_of as graph_of
    from prune_core.network.walk import run_graph as run_graph
    from prune_core.network.walk import walk_back as walk_back

_HOMES = {
    "GraphStep": "walk",
    "Place": "places",
    "carry_shapes": "shapes",
    "fits": "sample_shape",
    "fitted_shape": "sample_shape",
    "functional_graph": "walk",
    "graph_of": "walk",
    "layers_inside": "places",
    "leaf_layers": "places",
    "run_graph": "walk",
    "walk_back": "walk",
    "weight_variables": "places",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_face(__name__, _HOMES)
