"""Geometry of a window that slides over an image: shared by convolution and pooling.

Padding is written ``(top, left, bottom, right)``. Output size: ``floor((n + p_begin + p_end - k) / s) + 1``
(Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016), ``ceil`` where asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError
from ..graph import Array, Attrs

Pads = tuple[int, int, int, int]
Padding = Literal["valid", "same", "same_lower"] | int | Sequence[Any]


class Window(NamedTuple):
    """A resolved window: kernel (KH, KW), strides, pads (top, left, bottom, right), output size (P, Q)."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads
    out: tuple[int, int]


def pair(value: int | Sequence[int], what: str, minimum: int = 1) -> tuple[int, int]:
    """``3`` or ``(3, 2)`` as two integers, at least ``minimum``; ShapeError otherwise."""
    two = tuple(value) if isinstance(value, Sequence) else (value, value)
    whole = all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in two)
    if len(two) != 2 or not whole or min(two) < minimum:
        raise ShapeError(f"{what} must be one integer or two, each at least {minimum}; got {value!r}")
    return int(two[0]), int(two[1])


def plain_padding(padding: Padding) -> Padding:
    """Padding as JSON values: text, an integer, or lists of integers."""
    if isinstance(padding, str) or not isinstance(padding, Sequence):
        return padding
    return [plain_padding(p) if isinstance(p, Sequence) else int(p) for p in padding]


def resolve_pads(padding: Padding, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> Pads:
    """Explicit pads for ``"valid"``, ``"same"`` (output ``ceil(n/s)``, odd pixel at the end, as TensorFlow and
    ONNX SAME_UPPER do), ``"same_lower"``, one integer, ``(vertical, horizontal)``,
    ``(top, left, bottom, right)`` or ``((top, bottom), (left, right))``."""
    if isinstance(padding, str):
        if padding == "valid":
            return 0, 0, 0, 0
        if padding not in ("same", "same_lower"):
            raise ShapeError(f'padding must be "valid", "same" or numbers of pixels; got {padding!r}')
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, strides, strict=True)]
        small = [t // 2 for t in total]
        large = [t - s for t, s in zip(total, small, strict=True)]
        begin, end = (large, small) if padding == "same_lower" else (small, large)
        return begin[0], begin[1], end[0], end[1]
    if not isinstance(padding, Sequence):
        if not isinstance(padding, int | np.integer):
            raise ShapeError(f'padding must be "valid", "same" or whole numbers of pixels; got {padding!r}')
        flat = [int(padding)] * 4
    elif len(padding) == 2 and all(isinstance(p, Sequence) for p in padding):
        (top, bottom), (left, right) = (list(map(int, p)) for p in padding)
        flat = [top, left, bottom, right]
    else:
        flat = [int(p) for p in padding]
        flat = flat * 2 if len(flat) == 2 else flat
    if len(flat) != 4 or min(flat) < 0:
        raise ShapeError(f"padding must be 1, 2 or 4 numbers of pixels, none negative; got {padding!r}")
    return flat[0], flat[1], flat[2], flat[3]


def resolve(height: int, width: int, kernel: Sequence[int], attrs: Attrs) -> Window:
    """The window for an input of ``height`` x ``width``; ShapeError where the kernel does not fit."""
    kh, kw = int(kernel[0]), int(kernel[1])
    strides = pair(attrs.get("strides", 1), "strides")
    padding = attrs.get("padding", "valid")
    pads = resolve_pads(padding, (height, width), (kh, kw), strides)
    out = []
    for n, k, s, begin, end in ((height, kh, strides[0], pads[0], pads[2]), (width, kw, strides[1], pads[1], pads[3])):
        span = n + begin + end - k
        if span < 0:
            padded = f"{height}x{width}" + (f" padded by {pads}" if any(pads) else "")
            raise ShapeError(
                f'kernel {kh}x{kw} is larger than its input {padded}; use padding="same" or kernel_size <= {min(n, k)}'
            )
        count = span // s + 1
        if attrs.get("ceil_mode"):
            count = -(-span // s) + 1
            if (count - 1) * s >= n + begin:  # a window must start inside the image or its leading padding
                count -= 1
        out.append(count)
    return Window((kh, kw), strides, pads, (out[0], out[1]))


def reach(window: Window) -> tuple[int, int]:
    """Rows and columns, padding included, that the windows need (more than the image has with ``ceil_mode``)."""
    return (
        (window.out[0] - 1) * window.strides[0] + window.kernel[0],
        (window.out[1] - 1) * window.strides[1] + window.kernel[1],
    )


def sliding(padded: Array, window: Window) -> Array:
    """View (N, C, KH, KW, P, Q) of ``padded`` (N, C, H', W'): element [.., i, j, p, q] is pixel (p*s+i, q*s+j)."""
    n, c = padded.shape[:2]
    sn, sc, sh, sw = padded.strides
    (kh, kw), (vertical, horizontal), (p, q) = window.kernel, window.strides, window.out
    return as_strided(padded, (n, c, kh, kw, p, q), (sn, sc, sh, sw, sh * vertical, sw * horizontal))


def places(padded: Array, window: Window) -> list[Array]:
    """For each kernel position, in row-major order, the (.., P, Q) view of the pixels it meets."""
    (kh, kw), (sv, sh), (p, q) = window.kernel, window.strides, window.out
    return [
        padded[..., i : i + (p - 1) * sv + 1 : sv, j : j + (q - 1) * sh + 1 : sh] for i in range(kh) for j in range(kw)
    ]
