"""Every gradient rule against central differences in float64; ties and kinks against the stated rule instead."""

from __future__ import annotations

import numpy as np
import pytest
from handlens.backends import NumpyBackend, drive
from handlens.graph import Graph
from handlens.ops import TABLE, find
from handlens.plan import make_plan
from op_cases import CASES, DIFFERENTIABLE, Case, draw
from op_runner import gradients, run, with_loss

STEP = 1e-5
TOLERANCE = 1e-5


def case_values(case: Case, seed: int) -> tuple[Graph, str, list[str], dict[str, np.ndarray]]:
    inputs, updates = draw(case, seed)
    graph, loss, wrt = with_loss(case, inputs, updates)
    op = find(case.op)
    values = dict(zip([n.removesuffix("?") for n in op.inputs], inputs, strict=False))
    values |= dict(zip(op.updates, updates, strict=True))
    if "target" in graph.tensors:
        values.setdefault("target", np.random.default_rng(seed + 1).standard_normal(graph.shape("target")))
    return graph, loss, wrt, values


def differences(case: Case, loss_at: object, values: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Central differences of the loss in every element of one operand."""
    slope = np.zeros_like(values[name])
    for index in np.ndindex(*slope.shape):
        kept = values[name][index]
        values[name][index] = kept + STEP
        above = loss_at(values)  # type: ignore[operator]
        values[name][index] = kept - STEP
        below = loss_at(values)  # type: ignore[operator]
        values[name][index] = kept
        slope[index] = (above - below) / (2 * STEP)
    return slope


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradient_equals_central_differences(case: Case) -> None:
    graph, loss, wrt, values = case_values(case, seed=3)
    analytic = gradients(graph, loss, wrt, values)
    assert set(analytic) == set(wrt)
    bare, bare_loss, _, _ = case_values(case, seed=3)
    bare.outputs = {"loss": bare_loss}
    backend = NumpyBackend()
    program = drive(backend.load(make_plan(bare)))

    def loss_at(point: dict[str, np.ndarray]) -> float:
        for name, value in point.items():
            backend.upload(program, name, value)
        backend.run(program)
        return float(drive(backend.fetch(program, "loss"))["loss"][0])

    for name in wrt:
        expected = differences(case, loss_at, values, name)
        scale = max(np.abs(expected).max(), np.abs(analytic[name]).max(), 1e-8)
        worst = np.abs(analytic[name] - expected).max() / scale
        assert worst <= TOLERANCE, f"{case.id}, d{name}: relative error {worst:.2e} (seed 3)"


def test_every_op_has_a_case() -> None:
    """The table of cases reaches every op: named, or emitted by the gradient rule of one that is."""
    reached = {c.op for c in CASES}
    for case in DIFFERENTIABLE:
        graph, loss, wrt, _ = case_values(case, seed=0)
        from handlens.autodiff import backward

        backward(graph, loss, wrt)
        reached |= {node.op.name for node in graph.nodes}
    assert reached == set(TABLE)


def derivative(op: str, x: np.ndarray, **attrs: object) -> np.ndarray:
    """d sum(y) / dx through the op's own gradient rule."""
    graph = Graph("float64")
    graph.declare("x", x.shape, "input")
    y = graph.one(find(op), ("x",), attrs)
    graph.declare("dy", graph.shape(y), "input")
    node = graph.nodes[-1]
    dx = node.op.gradient(graph, node, ["dy"], [True])[0]
    assert dx is not None
    return run(graph, {"x": x, "dy": np.ones(graph.shape("dy"))}, [dx])[dx]


def test_kinks_follow_the_stated_rule() -> None:
    x = np.array([[-1.0, -0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(derivative("relu", x), [[0, 0, 0, 1]])
    np.testing.assert_array_equal(derivative("leaky_relu", x, alpha=0.25), [[0.25, 0.25, 0.25, 1]])


def test_ties_in_max_pooling_go_to_the_first_in_row_major_order() -> None:
    flat = derivative("max_pool2d", np.zeros((1, 1, 4, 4)), pool_size=[2, 2])
    np.testing.assert_array_equal(flat[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    x = np.array([[[[1.0, 2.0], [2.0, 2.0]]]])
    np.testing.assert_array_equal(derivative("max_pool2d", x, pool_size=[2, 2])[0, 0], [[0, 1], [0, 0]])


def test_overlapping_ties_add_up() -> None:
    dx = derivative("max_pool2d", np.zeros((1, 1, 3, 3)), pool_size=[2, 2], strides=[1, 1])
    np.testing.assert_array_equal(dx[0, 0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    middle = np.zeros((1, 1, 3, 3))
    middle[0, 0, 1, 1] = 1
    assert derivative("max_pool2d", middle, pool_size=[2, 2], strides=[1, 1])[0, 0, 1, 1] == 4


def test_a_wrong_gradient_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: a sigmoid whose adjoint forgets a factor is caught."""
    rule = type(find("sigmoid_dx"))
    monkeypatch.setattr(rule, "numpy", lambda self, b: lambda: np.multiply(b.ins[0], b.ins[1], out=b.outs[0]))
    case = next(c for c in DIFFERENTIABLE if c.op == "sigmoid")
    with pytest.raises(AssertionError, match="relative error"):
        test_gradient_equals_central_differences(case)
