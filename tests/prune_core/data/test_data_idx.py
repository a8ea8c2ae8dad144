"""MNIST's file format."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from prune_core.data.idx_format import parse_idx, to_idx


def test_parse_literal_bytes():
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40])
    assert parse_idx(images).tolist() == [[[10, 20]], [[30, 40]]]
    assert parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])).tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an IDX"),
        (b"\x1f\x8b\x08\x00", "not an IDX"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), "not an IDX"),  # floats
        (bytes([0, 0, 8, 3, 0, 0, 0, 2]), "cut off"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8]), "announces 3"),
        (bytes([0, 0, 8, 3, *[255] * 12]), "announces"),  # a product that overflows 64 bits
    ],
)
def test_parse_refuses(data, said):
    with pytest.raises(ValueError, match=said):
        parse_idx(data)


@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=4)))
def test_idx_round_trip(array):
    np.testing.assert_array_equal(parse_idx(to_idx(array)), array)
