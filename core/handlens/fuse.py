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


def carrier_of(graph: Graph, tensor: str) -> Node | None:
    """The carrier that makes a tensor which one node alone reads and no public output shows; None where there is none.

    A carrier that has an activation already takes nothing more.
    """
    if len(graph.consumers().get(tensor, ())) != 1 or tensor in graph.outputs.values():
        return None
    node = next((n for n in graph.nodes if tensor in n.outputs), None)
    return node if node is not None and node.op.name in CARRIERS and "activation" not in node.attrs else None


def attach_activations(graph: Graph) -> None:
    """conv2d or dense followed by an activation that alone reads it: one node with an ``activation`` attribute."""
    for activation in [n for n in graph.nodes if n.op.name in ACTIVATIONS]:
        source = activation.inputs[0]
        carrier = carrier_of(graph, source)
        if carrier is None:
            continue
        attrs = {**carrier.attrs, "activation": activation.op.name, **activation.attrs}
        merged = replace(carrier, outputs=activation.outputs, attrs=attrs)
        graph.nodes[graph.nodes.index(carrier)] = merged
        graph.nodes.remove(activation)
        del graph.tensors[source]


def fold_batch_norms(graph: Graph) -> None:
    """conv2d or dense followed by an inference batch norm: new weights, computed once when parameters are loaded."""
    for norm in [n for n in graph.nodes if n.op.name == "batch_norm_inference"]:
        x, *statistics = norm.inputs
        carrier = carrier_of(graph, x)
        if carrier is None:
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
