"""What comes before the network: rows of the resident data set, and augmentation."""

from __future__ import annotations

import math

from ....errors import PlanError
from ..lowered import Work, lowers

GATHERS = {
    ("float32", "float32"): "gather",
    ("uint8", "float32"): "gather_u8",
    ("int32", "int32"): "gather_i32",
}


@lowers("gather")
def gather(work: Work) -> None:
    """A kernel for each element type that training reads."""
    kinds = (work.places["data"].dtype, work.places["y"].dtype)
    scale = float(work.attrs.get("scale", 1.0))
    if kinds not in GATHERS or (kinds[1] == "int32" and scale != 1.0):
        raise PlanError(f"the GPU gathers {', '.join(f'{a} as {b}' for a, b in GATHERS)}; not {kinds[0]} as {kinds[1]}")
    constants: dict[str, int | float] = {"ROW": math.prod(work.shape("data")[1:])}
    if kinds[1] == "float32":
        constants["SCALE"] = scale
    work.linear(GATHERS[kinds], work.size("y"), constants)


@lowers("warp")
def warp(work: Work) -> None:
    """One invocation a pixel of an image, which moves all its channels."""
    images, channels, height, width = work.shape("x")
    constants = {"C": channels, "H": height, "W": width, "CELLS": int(work.attrs.get("cells", 0))}
    work.linear("warp", images * height * width, constants)


@lowers("thickness", "smoothing")
def per_image(work: Work) -> None:
    """One invocation a pixel, an amount an image."""
    constants: dict[str, int | float] = dict(zip("CHW", work.shape("x")[1:], strict=True))
    if work.step.op == "smoothing":
        constants |= {"GAIN": float(work.attrs["gain"]), "LEVEL": float(work.attrs["level"])}
    work.linear(work.step.op, work.size("x"), constants)
