"""A second network that computes the same as a first."""

import keras

from prune_core.errors import UserError
from prune_core.graph.agreement import check_agreement
from prune_core.graph.rebuild import blank_duplicates
from prune_core.network.keras_internals import maker_of
from prune_core.network.layer_state import hand_over_policy, hand_over_state
from prune_core.network.places import layers_inside, weight_variables
from prune_core.network.shared_weights import share_again, shared_weights
from prune_core.network.walk import functional_graph


def copy_of(model: keras.Model) -> keras.Model:
    """A second network with the same layers, names, weights and states; weights that layers share are shared in it.

    Raises:
        UserError: not a Keras model, one that is not built, a subclassed one, or a layer that cannot be copied: one
            whose copy gives other outputs on random inputs is named.
    """
    functional_graph(model)
    with blank_duplicates() as duplicate:
        twin = keras.models.clone_model(model, clone_function=duplicate, recursive=True)
    share_again(twin, shared_weights(model))
    _copy_weights(model, twin)
    twins = {"": twin, **dict(layers_inside(twin))}
    for path, layer in {"": model, **dict(layers_inside(model))}.items():
        if path in twins:
            hand_over_policy(layer, twins[path])
            _name_inputs(layer, twins[path])
            hand_over_state(layer, twins[path])
    check_agreement(
        model,
        twin,
        "the copy",
        "let the layer keep what it needs in weights and in its get_config, or give it save_own_variables and "
        "load_own_variables",
    )
    return twin


def _name_inputs(layer: keras.layers.Layer, twin: keras.layers.Layer) -> None:
    """Keras names the inputs of a copied functional model after their tensors, whose numbers count up."""
    if isinstance(layer, keras.Model):
        for tensor, copied in zip(layer.inputs, twin.inputs, strict=True):
            maker_of(copied).name = maker_of(tensor).name


def _copy_weights(model: keras.Model, twin: keras.Model) -> None:
    weights, targets = weight_variables(model), weight_variables(twin)
    if weights.keys() != targets.keys():
        path = next(iter(weights.keys() ^ targets.keys()))
        raise UserError(
            f"{model.name!r} cannot be copied: the weight {path!r} is not in both of the network and its copy"
        )
    for path, weight in weights.items():
        targets[path].assign(weight)
