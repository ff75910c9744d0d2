"""Ops of one invocation an element: activations and their adjoints, scaling, dropout."""

from __future__ import annotations

from ..lowered import Work, lowers


@lowers("relu", "sigmoid", "tanh", "relu_dx", "sigmoid_dx", "tanh_dx")
def plain(work: Work) -> None:
    """Nothing but the size."""
    work.linear(work.step.op, work.size(next(iter(work.places))))


@lowers("leaky_relu", "leaky_relu_dx")
def leaky(work: Work) -> None:
    """The slope below zero as a constant."""
    work.linear(work.step.op, work.size("x"), {"ALPHA": float(work.attrs.get("alpha", 0.01))})
