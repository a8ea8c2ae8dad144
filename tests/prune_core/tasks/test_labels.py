"""Labels of all kinds: those that tell one class a sample are understood, others get advice that keeps them."""

import numpy as np
import pytest

from prune_core.errors import UserError
from prune_core.tasks import Labels, class_indices

Y = np.array([2, 0, 1, 1])


def understood(y) -> Labels:
    labels = class_indices("y", np.asarray(y), 4)
    assert labels.indices.dtype == np.int64
    return labels


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float64, ">i4"])
@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4), (4, 1, 1)])
def test_one_whole_number_a_sample(dtype, shape):
    labels = understood(Y.astype(dtype).reshape(shape))
    assert labels.indices.tolist() == [2, 0, 1, 1]
    assert labels.columns is None


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (4, 1, 3)])
def test_one_hot_rows(dtype, shape):
    labels = understood(np.eye(3)[Y].astype(dtype).reshape(shape))
    assert labels.indices.tolist() == [2, 0, 1, 1]
    assert labels.columns == 3


def test_true_and_false_are_two_classes():
    assert understood([True, False, False, True]).indices.tolist() == [1, 0, 0, 1]


def test_the_last_class_may_be_absent_from_one_hot_rows():
    assert understood(np.eye(5)[Y]).columns == 5


def test_as_many_classes_as_samples():
    assert understood(np.eye(4)[[3, 1, 0, 2]]).indices.tolist() == [3, 1, 0, 2]
    assert class_indices("y", np.array([[0, 1, 0]]), 1).indices.tolist() == [1]
    assert class_indices("y", np.array([[2]]), 1).indices.tolist() == [2]


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (
            [[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]],
            r"several labels a sample \(sample 0 has 2\): only classification",
        ),
        ([[0, 1], [1, 0], [0, 0], [0, 1]], "gives sample 2 no label"),
        ([[0.9, 0.1], [0.2, 0.8], [1, 0], [0, 1]], "2 columns that are not one-hot, since they hold other values"),
        ([[2, 0], [0, 1], [1, 0], [0, 1]], "2 columns that are not one-hot"),
        ([0, 1, 2, np.nan], "holds NaN"),
        ([0, 1, 2, 0.5], "holds 0.5, which is not the number of a class"),
        ([0, 1, 2, np.inf], "holds the label inf"),
        ([0, 1, 2, -1], "holds the label -1: number the classes from 0 on$"),
        ([-1, 1, 1, -1], r"holds the label -1: number the classes from 0 on, \(y > 0\).astype\(int\)"),
        (np.array([0, 1, 2, 2**64 - 1], np.uint64), f"holds the label {2**64 - 1}"),
        ([0.0, 1, 2, 2.0**63], "holds the label 9.223372036854776e"),
        (["cat", "dog", "cat", "cow"], "has type <U3, not numbers: number the classes from 0 on, alike in every split"),
        (np.array([0, 1, None, 2], object), "has type object"),
        ([1j, 0, 0, 0], "has type complex128"),
        ([0, 1, 2], "has 3 labels for 4 samples"),
        ([[0], [1], [2]], "has 3 labels for 4 samples"),
        (np.zeros((3, 4)), r"has shape \(3, 4\) for 4 samples"),
        (
            np.zeros((4, 2, 2)),
            r"has shape \(4, 2, 2\) for 4 samples: give one class index a sample, \(4,\), or one-hot",
        ),
        (0, r"has shape \(\)"),
    ],
)
def test_everything_else_is_refused_in_a_sentence(y, sentence):
    with pytest.raises(UserError, match=sentence):
        understood(y)
