"""How far a backend's float32 results are from NumPy's in float64, in units of the sum of the absolute terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from handlens.autodiff import backward
from handlens.backends import Backend
from handlens.graph import Graph
from handlens.ops import find
from op_cases import Case, draw
from op_runner import forward, run, with_loss

# Ops whose outputs are sums of products: the terms' absolute values add up to the same op on absolute inputs. All
# others are of the size of their result, or of 1.
SUMS = {
    "conv2d",
    "conv2d_dw",
    "dense",
    "dense_dw",
    "matmul",
    "avg_pool2d",
    "global_avg_pool2d",
    "sum_to",
    "add",
    "scale",
    "broadcast_to",
}


def scale_of(case: Case, expected: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The sum of the absolute terms of every output element."""
    if case.op not in SUMS or "activation" in case.attrs:
        return {name: np.maximum(np.abs(value), 1.0) for name, value in expected.items()}
    inputs, _ = draw(case, seed)
    graph = Graph("float64")
    op = find(case.op)
    names = [n.removesuffix("?") for n in op.inputs[: len(inputs)]]
    for name, value in zip(names, inputs, strict=True):
        graph.declare(name, value.shape, "input")
    attrs = {k: abs(v) if k == "factor" else v for k, v in case.attrs.items()}
    outputs = list(graph.emit(op, names, attrs))
    terms = run(graph, {n: np.abs(v) for n, v in zip(names, inputs, strict=True)}, outputs)
    return {name: terms[made] for name, made in zip(expected, outputs, strict=True)}


def compare(found: np.ndarray, expected: np.ndarray, scale: np.ndarray, limit: float, where: str) -> None:
    """Fail with the worst index, both values and the seed (in ``where``) if an error exceeds ``limit`` times scale."""
    assert found.shape == expected.shape, where
    error = np.abs(found.astype(np.float64) - expected) / np.maximum(scale, 1e-30)
    error[~np.isfinite(found)] = np.inf
    worst = np.unravel_index(int(np.argmax(error)), error.shape) if error.size else ()
    assert not error.size or error[worst] <= limit, (
        f"{where}: at {tuple(map(int, worst))} found {found[worst]!r}, expected {expected[worst]!r}, "
        f"error {error[worst]:.3g} of the terms, allowed {limit:g}"
    )


def check_forward(case: Case, backend: Backend, limit: float, seed: int = 0) -> None:
    """The case's outputs and updates on a backend."""
    expected, found = forward(case, seed), forward(case, seed, "float32", backend)
    scale = scale_of(case, expected, seed)
    for name, value in expected.items():
        compare(found[name], value, scale[name], limit, f"{case.id} {name}, seed {seed}")


def check_gradients(case: Case, backend: Backend, limit: float, seed: int = 0) -> None:
    """The gradients of a loss on top of the case, in one plan."""
    expected, found = gradients(case, seed), gradients(case, seed, backend)
    terms = gradients(case, seed, absolute=True) if case.op in SUMS and "activation" not in case.attrs else None
    for name, value in expected.items():
        # Where the op is no sum of products, the terms are not at hand; the array's largest value is of their size.
        scale = terms[name] if terms else np.full(value.shape, max(float(np.abs(value).max(initial=0.0)), 1e-3))
        compare(found[name], value, scale, limit, f"{case.id} gradient of {name}, seed {seed}")


def gradients(case: Case, seed: int, backend: Backend | None = None, absolute: bool = False) -> dict[str, np.ndarray]:
    """The gradient of every input: in float64 with NumPy, in float32 on a backend.

    absolute: instead the sum of the absolute terms of each. The op's outputs y, the loss's gradient 2 (y - target) / n
    and the adjoints are sums of products: with absolute inputs and a target below zero all of them only add up.
    """
    kind = "float32" if backend else "float64"
    inputs, updates = draw(case, seed, kind)
    if absolute:
        inputs = [np.abs(value) for value in inputs]
        case = replace(case, attrs={k: abs(v) if k == "factor" else v for k, v in case.attrs.items()})
    graph, loss, wrt = with_loss(case, inputs, updates, kind)
    declared = [n for n, t in graph.tensors.items() if t.role == "input"]
    values = dict(zip(declared, [*inputs, *updates], strict=False))
    if "target" in declared:
        drawn = np.random.Generator(np.random.PCG64(seed + 1)).standard_normal(graph.shape("target"))
        values["target"] = (-np.abs(drawn) if absolute else drawn).astype(kind)
    made = backward(graph, loss, wrt)
    results = run(graph, values, [loss, *made.values()], backend)
    return {name: results[tensor] for name, tensor in made.items()}
