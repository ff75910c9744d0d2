"""Builds a one-op graph from a case and runs it on a backend; with a loss on top for gradient checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from handlens.autodiff import backward
from handlens.backends import Backend, NumpyBackend, drive
from handlens.graph import Graph
from handlens.ops import find
from handlens.plan import make_plan
from op_cases import Case, draw


def case_graph(case: Case, inputs: list[np.ndarray], updates: list[np.ndarray], dtype: str) -> tuple[Graph, list[str]]:
    """The graph of one op, its operands declared as inputs; returns it with the output names."""
    op, graph = find(case.op), Graph(dtype)
    names = [n.removesuffix("?") for n in op.inputs[: len(inputs)]]
    for name, value in zip(names, inputs, strict=True):
        graph.declare(name, value.shape, "input", value.dtype.name)
    for name, value in zip(op.updates, updates, strict=True):
        graph.declare(name, value.shape, "input", value.dtype.name)
    outputs = list(graph.emit(op, names, case.attrs, updates=op.updates))
    return graph, outputs


def run(
    graph: Graph, values: dict[str, np.ndarray], names: list[str], backend: Backend | None = None
) -> dict[str, np.ndarray]:
    """Plan, load, upload, run once and fetch."""
    chosen = backend or NumpyBackend()
    graph.outputs = graph.outputs or {name: name for name in names}
    program = drive(chosen.load(make_plan(graph, keep="all")))
    for name, value in values.items():
        chosen.upload(program, name, value)
    chosen.run(program)
    return drive(chosen.fetch(program, *names))


def forward(case: Case, seed: int = 0, dtype: str = "float64", backend: Backend | None = None) -> dict[str, Any]:
    """Outputs and updated operands of a case."""
    inputs, updates = draw(case, seed, dtype)
    graph, outputs = case_graph(case, inputs, updates, dtype)
    op = find(case.op)
    values = dict(zip([n.removesuffix("?") for n in op.inputs], inputs, strict=False))
    values |= dict(zip(op.updates, updates, strict=True))
    return run(graph, values, [*outputs, *op.updates], backend)


def with_loss(
    case: Case, inputs: list[np.ndarray], updates: list[np.ndarray], dtype: str = "float64"
) -> tuple[Graph, str, list[str]]:
    """The case's graph with a scalar on top: its own loss, or the squared distance of its first output to a target.

    Returns graph, loss, and the names of the inputs that can be differentiated.
    """
    graph, outputs = case_graph(case, inputs, updates, dtype)
    names = [n for n, t in graph.tensors.items() if t.role == "input" and t.dtype == dtype]
    op = find(case.op)
    wrt = [n for n in names if n not in op.updates]
    if graph[outputs[0]].shape == (1,) and case.op in ("softmax_cross_entropy", "mean_squared_error"):
        return graph, outputs[0], wrt[:1]
    shape = graph.shape(outputs[0])
    flat = graph.one(find("reshape"), (outputs[0],), {"shape": [1, int(np.prod(shape))]})
    graph.declare("target", graph.shape(flat), "input")
    return graph, graph.one(find("mean_squared_error"), (flat, "target")), wrt


def gradients(graph: Graph, loss: str, wrt: list[str], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Analytic gradients of the loss."""
    made = backward(graph, loss, wrt)
    found = run(graph, values, [loss, *made.values()])
    return {name: found[tensor] for name, tensor in made.items()}
