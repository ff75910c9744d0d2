"""An op's attributes as numbers under the names that the kernels give them (core/kernels/ops.h)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...graph import Shape
from ...ops.conv import conv2d_dw, conv2d_dx, sizes_of
from ...ops.pool import window_of
from ...ops.window import Window
from ...plan import Plan, Step

Numbers = Mapping[str, float]
ACTIVATIONS = (None, "relu", "leaky_relu", "sigmoid", "tanh")  # their codes in handlens.h
LEAK = 0.01
ADAM = ("beta_1", "beta_2", "epsilon")


def sliding(window: Window) -> dict[str, float]:
    """Strides and pads."""
    names = ("stride_h", "stride_w", "top", "left", "bottom", "right")
    return dict(zip(names, map(float, (*window.strides, *window.pads)), strict=True))


def pooling(window: Window) -> dict[str, float]:
    """:func:`sliding` and the pool's size."""
    return {"kernel_h": float(window.kernel[0]), "kernel_w": float(window.kernel[1]), **sliding(window)}


def activated(step: Step) -> dict[str, float]:
    """The activation that a conv2d or dense applies to its result."""
    code = ACTIVATIONS.index(step.attrs.get("activation"))
    return {"activation": float(code), "alpha": float(step.attrs.get("alpha", LEAK))}


Shapes = Sequence[Shape]
Rule = Callable[[Step, Shapes, Shapes], Numbers]  # the step, its inputs' shapes, its outputs'


def pool(step: Step, image: Shape) -> dict[str, float]:
    """A pooling over ``image``."""
    return pooling(window_of(image, step.attrs)) | {
        "include_pad": float(bool(step.attrs.get("include_pad", False))),
        "relu": 0.0,
    }


def named(*names: str, **defaults: float) -> Rule:
    """Attributes that are numbers already; those of ``defaults`` may be absent."""

    def rule(step: Step, ins: Shapes, outs: Shapes) -> Numbers:
        return {name: float(step.attrs[name]) for name in names} | {
            name: float(step.attrs.get(name, value)) for name, value in defaults.items()
        }

    return rule


def axis(step: Step, ins: Shapes, outs: Shapes) -> Numbers:
    """The axis, counted from the first."""
    return {"axis": float(int(step.attrs.get("axis", -1)) % len(ins[0]))}


RULES: dict[str, Rule] = {
    "adam": named(*ADAM, weight_decay=0.0, decoupled=0.0),
    "avg_pool2d": lambda step, ins, outs: pool(step, ins[0]),
    "avg_pool2d_dx": lambda step, ins, outs: pool(step, outs[0]),
    "batch_norm": named("epsilon", "momentum"),
    "batch_norm_fold": named("epsilon"),
    "batch_norm_inference": named("epsilon"),
    "conv2d": lambda step, ins, outs: sliding(sizes_of(ins[0], ins[1], step.attrs).window) | activated(step),
    "conv2d_dw": lambda step, ins, outs: sliding(conv2d_dw.sizes(ins, step.attrs).window),
    "conv2d_dx": lambda step, ins, outs: sliding(conv2d_dx.sizes(ins, step.attrs).window),
    "dense": lambda step, ins, outs: activated(step),
    "dropout": named("rate", salt=0.0),
    "gather": named(scale=1.0),
    "leaky_relu": named(alpha=LEAK),
    "leaky_relu_dx": named(alpha=LEAK),
    "matmul": named(transpose_a=0.0, transpose_b=0.0),
    "max_pool2d": lambda step, ins, outs: pool(step, ins[0]),
    "max_pool2d_dx": lambda step, ins, outs: pool(step, ins[0]),
    "scale": named("factor"),
    "sgd": named(momentum=0.0, weight_decay=0.0, nesterov=0.0),
    "smoothing": named("gain", "level"),
    "softmax": axis,
    "softmax_cross_entropy": named(smoothing=0.0),
    "softmax_cross_entropy_dx": named(smoothing=0.0),
    "softmax_dx": axis,
    "warp": named(cells=0.0),
}


def attributes(plan: Plan, step: Step) -> Numbers:
    """All that the step's kernel is told besides its operands."""
    rule = RULES.get(step.op)
    if rule is None:
        return {}
    ins, outs = ([plan.tensors[name].shape for name in names] for names in (step.inputs, step.outputs))
    return rule(step, ins, outs)
