"""What the tests of the article's rows compute with: models with given weights, single ops, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from handlens import Sequential
from handlens.backends import NumpyBackend, drive
from handlens.graph import Graph, Op
from handlens.layers import Layer
from handlens.plan import make_plan

Weights = Mapping[str, Any]
RANDOM = np.random.default_rng(7)


def restart() -> None:
    """The same random numbers again, so that a test's do not depend on which tests ran before it."""
    RANDOM.bit_generator.state = np.random.default_rng(7).bit_generator.state


def uniform(*shape: int) -> np.ndarray:
    """Numbers in -1..1."""
    return RANDOM.uniform(-1, 1, shape)


def network(layers: Sequence[Layer], shape: Sequence[int], weights: Weights | None = None, seed: int = 0) -> Sequential:
    """A network that may end in maps; ``weights`` replaces parameters by name ("conv1.weight")."""
    model = Sequential(layers, shape, seed, loss="mean_squared_error")
    if weights:
        given = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        model.load_state_dict({**model.state_dict(), **given})
    return model


def filled(model: Sequential, value: float, bias: float = 0.0) -> Sequential:
    """The network with every weight set to one value, every bias to another."""
    state = model.state_dict()
    model.load_state_dict({n: np.full_like(a, bias if n.endswith("bias") else value) for n, a in state.items()})
    return model


def replay(graph: Graph, values: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Plan the graph, load it on NumPy, upload, run once, fetch."""
    graph.outputs = {name: name for name in names}
    backend = NumpyBackend()
    program = drive(backend.load(make_plan(graph)))
    for name, value in values.items():
        backend.upload(program, name, value)
    backend.run(program)
    found = drive(backend.fetch(program, *names))
    return [found[name] for name in names]


def operands(arrays: Sequence[Any]) -> tuple[Graph, dict[str, np.ndarray]]:
    """A float64 graph with one input an array."""
    graph, values = Graph("float64"), {f"x{k}": np.asarray(a, np.float64) for k, a in enumerate(arrays)}
    for name, value in values.items():
        graph.declare(name, value.shape, "input")
    return graph, values


def apply(op: Op, *arrays: Any, **attrs: Any) -> np.ndarray:
    """One op on float64 arrays."""
    graph, values = operands(arrays)
    return replay(graph, values, [graph.one(op, list(values), attrs)])[0]


def pullback(op: Op, *arrays: Any, dy: Any = 1.0, **attrs: Any) -> np.ndarray:
    """The gradient that one op's rule gives its first input, for the gradient ``dy`` of its output."""
    graph, values = operands(arrays)
    made = graph.one(op, list(values), attrs)
    graph.declare("dy", graph.shape(made), "input")
    wanted = [k == 0 for k in range(len(values))]
    gradient = op.gradient(graph, graph.nodes[-1], ["dy"], wanted)[0]
    assert gradient is not None
    return replay(graph, values | {"dy": np.broadcast_to(np.float64(dy), graph.shape("dy"))}, [gradient])[0]


def layer_shape(model: Sequential, name: str) -> tuple[int, ...]:
    """Output shape of a layer, from the summary."""
    return next(row.shape for row in model.summary().rows if row.layer == name)


def weights_of(model: Sequential) -> int:
    """Number of weights: parameters that are no biases."""
    return sum(a.size for name, a in model.state_dict().items() if name.endswith(".weight"))
