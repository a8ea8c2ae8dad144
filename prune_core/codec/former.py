"""What earlier versions called the weights of a network, so that what they encoded still decodes."""

import keras

from prune_core.network.places import leaf_layers


def former_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """{path: variable}: the layer's path, then Keras's own path after the last mention of the layer's name.

    A weight that layers share has one path for each of them. If several weights get the same path, only one remains.
    """
    return {
        f"{path}/{variable.path.rpartition(f'{layer.name}/')[2]}": variable
        for path, layer in leaf_layers(model)
        for variable in layer.weights
        if "seed_generator" not in variable.path
    }
