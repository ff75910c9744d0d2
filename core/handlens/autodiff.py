"""Reverse-mode differentiation on the graph: every op's gradient rule, applied backwards once.

Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008, chapter 3. The backward nodes are ordinary nodes
of the same graph: they are fused, planned, counted and run like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import PlanError
from .graph import Graph
from .ops.matmul import add, scale


def backward(graph: Graph, loss: str, wrt: Sequence[str], seed: str = "") -> dict[str, str]:
    """Append the nodes that compute d loss / d each tensor of ``wrt``.

    seed: a tensor of the shape of ``loss``. Without one, ``loss`` is made by a loss op, whose rule needs none; with one
    it may be any tensor, and what is differentiated is the sum of the products of its elements with the seed's.
    Returns ``{tensor: its gradient}``; a tensor that the loss does not depend on is left out.
    Raises PlanError where an op on the way has no gradient rule.
    """
    needs = set(wrt)
    for node in graph.nodes:
        if any(i in needs for i in node.inputs):
            needs.update(node.outputs)
    if loss not in needs:
        raise PlanError(f"{loss!r} does not depend on any of {', '.join(wrt) or 'nothing'}; there is nothing to learn")
    gradients = {loss: seed} if seed else dict[str, str]()
    for node in reversed(list(graph.nodes)):
        if not any(o in needs for o in node.outputs):
            continue
        dys = [gradients.get(o) for o in node.outputs]
        if loss not in node.outputs and not any(dys):
            continue
        wanted = [i in needs for i in node.inputs]
        graph.layer = node.layer
        for tensor, gradient, want in zip(node.inputs, node.op.gradient(graph, node, dys, wanted), wanted, strict=True):
            if gradient is None or not want:
                continue
            met = gradients.get(tensor)
            gradients[tensor] = gradient if met is None else graph.one(add, (met, gradient))
    return {t: gradients[t] for t in wrt if t in gradients}


def place_gradients(graph: Graph, gradients: dict[str, str]) -> dict[str, str]:
    """Give each parameter's gradient a tensor of its own with role ``gradient``, named ``d_<parameter>``.

    The planner puts it where the parameter stands in the flat parameter buffer, so that one optimizer op serves all.
    """
    made = {out: node for node in graph.nodes for out in node.outputs}
    placed: dict[str, str] = {}
    for parameter, gradient in gradients.items():
        graph.layer = graph[parameter].layer
        if gradient in placed.values() or gradient not in made or made[gradient].op.view:
            gradient = graph.one(scale, (gradient,), {"factor": 1.0})
        name = f"d_{parameter}"
        rename(graph, gradient, name)
        graph.tensors[name] = replace(graph.tensors[name], role="gradient")
        placed[parameter] = name
    return placed


def rename(graph: Graph, old: str, new: str) -> None:
    """Give a tensor another name everywhere in the graph."""
    if new in graph.tensors:
        raise PlanError(f"tensor {new!r} already exists")
    graph.tensors[new] = replace(graph.tensors.pop(old), name=new)

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if n == old else n for n in names)

    graph.nodes = [
        replace(n, inputs=renamed(n.inputs), outputs=renamed(n.outputs), updates=renamed(n.updates))
        if old in (*n.inputs, *n.outputs, *n.updates)
        else n
        for n in graph.nodes
    ]
    graph.outputs = {public: new if t == old else t for public, t in graph.outputs.items()}
