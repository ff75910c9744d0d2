"""Rewrites of the graph that leave every public output as it is: fewer nodes, fewer passes over memory."""

from __future__ import annotations

from dataclasses import replace

from .graph import Graph, Node
from .ops.normalization import batch_norm_fold

CARRIERS = ("conv2d", "dense")  # ops that can apply an activation while their result is still in the cache
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")


def fuse(graph: Graph) -> Graph:
    """All rewrites, in order: fold batch norms, attach activations, drop what nothing reads."""
    fold_batch_norms(graph)
    attach_activations(graph)
    prune(graph)
    return graph


def only_reader(graph: Graph, tensor: str, readers: dict[str, list[int]]) -> bool:
    """Whether one node alone reads the tensor, and no public output shows it."""
    return len(readers.get(tensor, ())) == 1 and tensor not in graph.outputs.values()


def maker(graph: Graph, tensor: str) -> int | None:
    """Index of the node that makes a tensor."""
    return next((k for k, node in enumerate(graph.nodes) if tensor in node.outputs), None)


def attach_activations(graph: Graph) -> None:
    """conv2d or dense followed by an activation that alone reads it: one node with an ``activation`` attribute."""
    for activation in [n for n in graph.nodes if n.op.name in ACTIVATIONS]:
        source = activation.inputs[0]
        index = maker(graph, source)
        if index is None or not only_reader(graph, source, graph.consumers()):
            continue
        carrier = graph.nodes[index]
        if carrier.op.name not in CARRIERS or "activation" in carrier.attrs:
            continue
        attrs = {**carrier.attrs, "activation": activation.op.name, **activation.attrs}
        graph.nodes[index] = replace(carrier, outputs=activation.outputs, attrs=attrs)
        graph.nodes.remove(activation)
        del graph.tensors[source]


def fold_batch_norms(graph: Graph) -> None:
    """conv2d or dense followed by an inference batch norm: new weights, computed once when parameters are loaded."""
    for norm in [n for n in graph.nodes if n.op.name == "batch_norm_inference"]:
        x, *statistics = norm.inputs
        index = maker(graph, x)
        if index is None or not only_reader(graph, x, graph.consumers()):
            continue
        carrier = graph.nodes[index]
        if carrier.op.name not in CARRIERS or "activation" in carrier.attrs:
            continue
        weight, *bias = carrier.inputs[1:]
        graph.layer = norm.layer
        folded = graph.emit(
            batch_norm_fold,
            (weight, *statistics, *bias),
            {"epsilon": norm.attrs["epsilon"]},
            name=f"{norm.layer}.folded" if norm.layer else "folded",
            prologue=True,
            role="folded",
        )
        fold = graph.nodes.pop()
        graph.nodes.insert(sum(node.prologue for node in graph.nodes), fold)  # after the folds it may read from
        merged = replace(carrier, inputs=(carrier.inputs[0], *folded), outputs=norm.outputs)
        graph.nodes[graph.nodes.index(carrier)] = merged
        graph.nodes.remove(norm)
        del graph.tensors[x]


def prune(graph: Graph) -> None:
    """Drop nodes that nothing reads and that change nothing in place."""
    wanted = set(graph.outputs.values())
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        roles = {graph[o].role for o in node.outputs}
        if node.updates or "gradient" in roles or wanted.intersection(node.outputs):
            wanted.update(node.inputs, node.updates)
            kept.append(node)
    graph.nodes = kept[::-1]
    used = {t for n in graph.nodes for t in (*n.inputs, *n.outputs, *n.updates)} | set(graph.outputs.values())
    graph.tensors = {k: t for k, t in graph.tensors.items() if k in used or t.role != "value"}
