"""Optimizers: one op over one flat buffer of all parameters, so that a step is one kernel for any number of layers.

``learning_rate`` and ``step`` (1 for the first) change from step to step and come in as control values.
Weight decay acts on every parameter, biases and normalisation included, as in PyTorch.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..graph import Attrs, Binding, Op, Run, Scratch, Shapes
from .table import register


class Optimizer(Op):
    """An op that moves the parameters in place."""

    inputs = ("gradients", "learning_rate", "step")
    outputs = ()

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if len(ins[0]) != 1:
            raise ShapeError(f"an optimizer works on one flat buffer; got {ins[0]}")
        return []

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"a": (ins[0], ""), "b": (ins[0], "")}


class Sgd(Optimizer):
    name = "sgd"
    updates = ("parameters", "velocity")
    equation = (
        "g = grad + weight_decay * w;  v = momentum * v + g;  w = w - rate * v  "
        "(Nesterov: w = w - rate * (g + momentum * v); Sutskever et al., 2013, in PyTorch's form)"
    )

    def numpy(self, b: Binding) -> Run:
        gradients, rate, _ = b.ins
        parameters, velocity = b.updates
        momentum, decay = float(b.attrs.get("momentum", 0.0)), float(b.attrs.get("weight_decay", 0.0))
        nesterov = bool(b.attrs.get("nesterov", False))
        g, move = b.work["a"], b.work["b"]

        def run() -> None:
            np.multiply(parameters, decay, out=g)
            np.add(g, gradients, out=g)
            np.multiply(velocity, momentum, out=velocity)
            np.add(velocity, g, out=velocity)
            if nesterov:
                np.multiply(velocity, momentum, out=move)
                np.add(move, g, out=move)
                np.multiply(move, rate[0], out=move)
            else:
                np.multiply(velocity, rate[0], out=move)
            np.subtract(parameters, move, out=parameters)

        return run


sgd = register(Sgd)


class Adam(Optimizer):
    name = "adam"
    updates = ("parameters", "moment_1", "moment_2")
    equation = (
        "m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g^2;  w = w - rate * (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + epsilon)  "
        "(Kingma & Ba, 2015);  decoupled: w = w - rate * weight_decay * w first (AdamW, Loshchilov & Hutter, 2019), "
        "else g = grad + weight_decay * w"
    )

    def numpy(self, b: Binding) -> Run:
        gradients, rate, step = b.ins
        parameters, first, second = b.updates
        beta_1, beta_2 = float(b.attrs["beta_1"]), float(b.attrs["beta_2"])
        epsilon, decay = float(b.attrs["epsilon"]), float(b.attrs.get("weight_decay", 0.0))
        decoupled = bool(b.attrs.get("decoupled", False))
        g, move = b.work["a"], b.work["b"]

        def run() -> None:
            t = float(step[0])
            np.copyto(g, gradients)
            if decay and decoupled:
                np.multiply(parameters, 1.0 - float(rate[0]) * decay, out=parameters)
            elif decay:
                np.multiply(parameters, decay, out=move)
                np.add(g, move, out=g)
            np.multiply(first, beta_1, out=first)
            np.multiply(g, 1.0 - beta_1, out=move)
            np.add(first, move, out=first)
            np.multiply(second, beta_2, out=second)
            np.multiply(g, g, out=move)
            np.multiply(move, 1.0 - beta_2, out=move)
            np.add(second, move, out=second)
            np.multiply(second, 1.0 / (1.0 - beta_2**t), out=move)
            np.sqrt(move, out=move)
            np.add(move, epsilon, out=move)
            np.divide(first, move, out=move)
            np.multiply(move, float(rate[0]) / (1.0 - beta_1**t), out=move)
            np.subtract(parameters, move, out=parameters)

        return run


adam = register(Adam)
