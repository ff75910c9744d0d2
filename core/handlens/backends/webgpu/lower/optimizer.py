"""Optimizers: one dispatch over the flat buffers; learning rate and step come as bindings, from the control values."""

from __future__ import annotations

import math

from ..lowered import Work, lowers


@lowers("sgd")
def sgd(work: Work) -> None:
    """Stochastic gradient descent with momentum."""
    constants = {
        "MOMENTUM": float(work.attrs.get("momentum", 0.0)),
        "DECAY": float(work.attrs.get("weight_decay", 0.0)),
        "NESTEROV": bool(work.attrs.get("nesterov", False)),
    }
    work.linear("sgd", work.fours("parameters"), constants)


@lowers("adam")
def adam(work: Work) -> None:
    """What float32 would round away, 1 - beta and log beta, is computed here."""
    constants: dict[str, float] = {}
    for k in (1, 2):
        beta = float(work.attrs[f"beta_{k}"])
        constants |= {f"BETA_{k}": beta, f"REST_{k}": 1.0 - beta, f"LOG_{k}": math.log(max(beta, 1e-30))}
    constants |= {
        "EPSILON": float(work.attrs["epsilon"]),
        "DECAY": float(work.attrs.get("weight_decay", 0.0)),
        "DECOUPLED": bool(work.attrs.get("decoupled", False)),
    }
    work.linear("adam", work.fours("parameters"), constants)
