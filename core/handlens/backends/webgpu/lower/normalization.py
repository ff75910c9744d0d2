"""Batch normalisation: in training two dispatches each way, a channel's sums in one workgroup, then all elements."""

from __future__ import annotations

import math

from ..lowered import Work, lowers
from .conv import wide


def maps(work: Work) -> dict[str, int]:
    """Channels, and pixels of one map."""
    shape = work.shape("x")
    return {"CHANNELS": shape[1], "PIXELS": math.prod(shape[2:])}


def by_channel(work: Work, name: str, constants: dict[str, int | float]) -> None:
    """One workgroup a channel, in rows where there are more channels than a dimension takes workgroups."""
    across, rows = wide(int(constants["CHANNELS"]))
    work.call(name, (across, rows, 1), {**constants, "WIDE": across})


@lowers("batch_norm")
def batch_norm(work: Work) -> None:
    """Statistics and running averages, then the normalised values."""
    constants, momentum = maps(work), float(work.attrs["momentum"])
    learning = {"EPSILON": float(work.attrs["epsilon"]), "MOMENTUM": momentum, "REST": 1.0 - momentum}
    by_channel(work, "batch_norm_stats", {"IMAGES": work.shape("x")[0], **constants, **learning})
    work.linear("batch_norm", work.fours("x"), constants)


@lowers("batch_norm_dx")
def batch_norm_dx(work: Work) -> None:
    """dgamma and dbeta, then dx out of them."""
    constants = maps(work)
    by_channel(work, "batch_norm_dx_sums", {"IMAGES": work.shape("x")[0], **constants})
    work.linear("batch_norm_dx", work.fours("x"), {"COUNT": work.size("x") // constants["CHANNELS"], **constants})


@lowers("batch_norm_inference")
def batch_norm_inference(work: Work) -> None:
    """One invocation an element."""
    work.linear("batch_norm_inference", work.size("x"), {"EPSILON": float(work.attrs["epsilon"]), **maps(work)})


@lowers("batch_norm_fold")
def batch_norm_fold(work: Work) -> None:
    """One invocation a weight; a kernel's first one takes its bias along."""
    shape = work.shape("w")
    constants = {
        "PER_KERNEL": math.prod(shape[1:]),
        "EPSILON": float(work.attrs["epsilon"]),
        "BIAS": work.has("b"),
    }
    work.linear("batch_norm_fold", work.size("w"), constants)
