"""Pooling: one invocation an output, and for most adjoints one an input pixel, which asks its windows."""

from __future__ import annotations

import math

from ....ops.pool import window_of
from ..lowered import Work, lowers


def window_constants(work: Work, image: str, out: str) -> dict[str, int]:
    """The window over the images ``image``, whose results are ``out``."""
    window = window_of(work.shape(image), work.attrs)
    (height, width), (rows, columns) = work.shape(image)[2:], work.shape(out)[2:]
    return {
        **{"H": height, "W": width, "P": rows, "Q": columns},
        **dict(zip(("KH", "KW", "SH", "SW"), (*window.kernel, *window.strides), strict=True)),
        **{"TOP": window.pads[0], "LEFT": window.pads[1]},
    }


def average_constants(work: Work, image: str, out: str) -> dict[str, int | bool]:
    """What an average's divisor needs besides."""
    bottom, right = window_of(work.shape(image), work.attrs).pads[2:]
    counts = {"BOTTOM": bottom, "RIGHT": right, "INCLUDE_PAD": bool(work.attrs.get("include_pad", False))}
    return window_constants(work, image, out) | counts


@lowers("max_pool2d")
def max_pool2d(work: Work) -> None:
    """One invocation an output."""
    work.linear("max_pool2d", work.size("y"), window_constants(work, "x", "y"))


@lowers("max_pool2d_dx")
def max_pool2d_dx(work: Work) -> None:
    """One invocation a window where windows do not overlap (as most do not), else one an input pixel."""
    constants = window_constants(work, "dx", "dy")
    if constants["SH"] >= constants["KH"] and constants["SW"] >= constants["KW"]:
        work.linear("max_pool2d_dx_apart", work.size("dy"), constants)
    else:
        work.linear("max_pool2d_dx", work.size("dx"), constants)


@lowers("avg_pool2d")
def avg_pool2d(work: Work) -> None:
    """One invocation an output."""
    work.linear("avg_pool2d", work.size("y"), average_constants(work, "x", "y"))


@lowers("avg_pool2d_dx")
def avg_pool2d_dx(work: Work) -> None:
    """One invocation an input pixel."""
    work.linear("avg_pool2d_dx", work.size("dx"), average_constants(work, "dx", "dy"))


@lowers("global_avg_pool2d")
def global_avg_pool2d(work: Work) -> None:
    """One invocation a map."""
    work.linear("global_avg_pool2d", work.size("y"), {"PIXELS": math.prod(work.shape("x")[2:])})


@lowers("global_avg_pool2d_dx")
def global_avg_pool2d_dx(work: Work) -> None:
    """One invocation an input pixel."""
    work.linear("global_avg_pool2d_dx", work.size("dx"), {"PIXELS": math.prod(work.shape("dx")[2:])})
