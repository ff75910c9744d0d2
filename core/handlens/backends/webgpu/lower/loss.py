"""Losses: one workgroup sums over the batch, so that a loss is one dispatch and has one order of summation."""

from __future__ import annotations

from ..lowered import Work, lowers


def cross_entropy_constants(work: Work) -> dict[str, int | float]:
    """What both directions of the cross-entropy take."""
    rows, classes = work.shape("probabilities")
    return {"ROWS": rows, "CLASSES": classes, "SMOOTHING": float(work.attrs.get("smoothing", 0.0))}


@lowers("softmax_cross_entropy")
def softmax_cross_entropy(work: Work) -> None:
    """Loss, correct and probabilities together."""
    work.call("softmax_cross_entropy", (1, 1, 1), cross_entropy_constants(work))


@lowers("softmax_cross_entropy_dx")
def softmax_cross_entropy_dx(work: Work) -> None:
    """One invocation a logit."""
    work.linear("softmax_cross_entropy_dx", work.size("dlogits"), cross_entropy_constants(work))


@lowers("mean_squared_error")
def mean_squared_error(work: Work) -> None:
    """The whole sum in one workgroup."""
    work.call("mean_squared_error", (1, 1, 1), {"SIZE": work.size("y")})


@lowers("mean_squared_error_dx")
def mean_squared_error_dx(work: Work) -> None:
    """One invocation four elements."""
    work.linear("mean_squared_error_dx", work.fours("y"), {"COUNT": work.size("y")})
