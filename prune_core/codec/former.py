"""What earlier versions called the weights of a network, so that what they encoded still decodes."""

import keras

from prune_core.network.places import leaf_layers


def former_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """{path: variable} by the text of Keras's own paths, behind the last mention of the layer's name.

    A weight that layers share was there once for each of them; of weights whose paths came out the same one is left.
    """
    return {
        f"{path}/{variable.path.rpartition(f'{layer.name}/')[2]}": variable
        for path, layer in leaf_layers(model)
        for variable in layer.weights
        if "seed_generator" not in variable.path
    }
