"""What the ops refuse: shapes that do not fit raise a ShapeError that names what was met, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from handlens.errors import ShapeError
from handlens.ops import find

Shapes = list[tuple[int, ...]]

REFUSED: list[tuple[str, Shapes, dict[str, Any], str]] = [
    ("conv2d", [(1, 3, 5, 5), (4, 2, 3, 3)], {}, "kernels for 2 channels met an input of 3"),
    ("conv2d", [(1, 3, 5, 5), (4, 3, 3, 3), (3,)], {}, r"4 kernels need a bias of shape \(4,\); got \(3,\)"),
    ("conv2d", [(1, 3, 4, 4), (4, 3, 3, 3)], {"strides": 2, "ceil_mode": True}, "conv2d has no ceil_mode"),
    ("conv2d", [(3, 5, 5), (4, 3, 3, 3)], {}, r"needs images \(N, C, H, W\)"),
    ("conv2d", [(1, 1, 5, 5), (1, 1, 3, 6)], {}, "kernel 3x6 is larger than its input 5x5.*kernel_size <= 5"),
    ("max_pool2d", [(1, 1, 5, 5)], {"pool_size": 6}, "pool 6x6 is larger than its input 5x5.*pool_size <= 5"),
    ("avg_pool2d", [(1, 1, 5, 5)], {"pool_size": 2, "padding": 2}, "must stay smaller than the pool"),
    ("global_avg_pool2d", [(1, 5)], {}, r"needs images \(N, C, H, W\); got \(1, 5\)"),
    ("dense", [(2, 3, 1, 1), (4, 3)], {}, "put a Flatten before it"),
    ("dense", [(2, 3), (4, 5)], {}, "expected 5 inputs, got 3"),
    ("dense", [(2, 3), (4, 3), (1,)], {}, r"4 neurons need a bias of shape \(4,\); got \(1,\)"),
    ("matmul", [(2, 3), (4, 5)], {}, "the inner sizes 3 and 4 differ"),
    ("matmul", [(3,), (3, 2)], {}, "reshape a vector to one row or column"),
    ("add", [(2, 3), (2, 4)], {}, "do not broadcast"),
    ("reshape", [(2, 3)], {"shape": [4, -1]}, "6 elements of shape .* do not fill"),
    ("batch_norm_inference", [(2, 3, 4, 4), (3,), (3,), (3,), (2,)], {"epsilon": 1e-5}, "3 channels met"),
    ("softmax_cross_entropy", [(4, 10), (3,)], {}, r"labels \(N,\)"),
    ("mean_squared_error", [(4, 1), (4, 2)], {}, "of one shape"),
]


@pytest.mark.parametrize(("op", "shapes", "attrs", "message"), REFUSED)
def test_shapes_that_do_not_fit(op: str, shapes: Shapes, attrs: dict[str, Any], message: str) -> None:
    """The op's shape rule raises, with this message."""
    with pytest.raises(ShapeError, match=message):
        find(op).shapes(shapes, attrs)
