"""The NumPy kernels against loops that follow the equations word for word, in blocks and at every edge."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from handlens.ops import blocks, conv, find
from handlens.ops.window import resolve
from op_cases import ACTIVATION, CASES, CONV, POOL, Case, draw
from op_runner import forward

PADDED = (0, 0, 0, 0)


def loop_conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, attrs: dict) -> np.ndarray:
    """y[n,f,p,q] = b[f] + sum over c,i,j of w[f,c,i,j] x[n,c,p*s+i-top,q*s+j-left], pixel by pixel."""
    window = resolve(x.shape[2], x.shape[3], w.shape[2:], attrs)
    top, left = window.pads[:2]
    y = np.zeros((x.shape[0], w.shape[0], *window.out))
    for n, f, p, q in itertools.product(*map(range, y.shape)):
        total = 0.0 if b is None else b[f]
        for c, i, j in itertools.product(*map(range, w.shape[1:])):
            row, column = p * window.strides[0] + i - top, q * window.strides[1] + j - left
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                total += w[f, c, i, j] * x[n, c, row, column]
        y[n, f, p, q] = total
    return y


@pytest.mark.parametrize("case", CONV, ids=lambda c: c.id)
def test_convolution_equals_its_equation(case: Case) -> None:
    inputs, _ = draw(case, seed=1)
    expected = loop_conv2d(inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None, dict(case.attrs))
    np.testing.assert_allclose(forward(case, seed=1)["conv2d"], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [c for c in POOL if c.op != "global_avg_pool2d"], ids=lambda c: c.id)
def test_pooling_equals_its_equation(case: Case) -> None:
    x = draw(case, seed=1)[0][0]
    kernel = case.attrs["pool_size"]
    window = resolve(x.shape[2], x.shape[3], kernel, {"strides": kernel, **case.attrs})
    top, left, bottom, right = window.pads
    y = np.zeros((*x.shape[:2], *window.out))
    for n, c, p, q in itertools.product(*map(range, y.shape)):
        rows = range(p * window.strides[0] - top, p * window.strides[0] - top + kernel[0])
        columns = range(q * window.strides[1] - left, q * window.strides[1] - left + kernel[1])
        met = [x[n, c, r, k] for r in rows for k in columns if 0 <= r < x.shape[2] and 0 <= k < x.shape[3]]
        if case.op == "max_pool2d":
            y[n, c, p, q] = max(met)
            continue
        padded = [1 for r in rows for k in columns if r < x.shape[2] + bottom and k < x.shape[3] + right]
        y[n, c, p, q] = sum(met) / (len(padded) if case.attrs.get("include_pad") else len(met))
    np.testing.assert_allclose(forward(case, seed=1)[case.op], y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_small_blocks_change_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting the work into blocks of one image, or of a few values, gives the same numbers."""
    whole = forward(case, seed=2)
    monkeypatch.setattr(blocks, "ELEMENTS", 5)
    monkeypatch.setattr(conv, "BLOCK_ELEMENTS", 1)
    for name, value in forward(case, seed=2).items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_float32_stays_near_float64(case: Case) -> None:
    exact, single = forward(case, seed=4), forward(case, seed=4, dtype="float32")
    for name, value in single.items():
        assert value.dtype == (np.float32 if exact[name].dtype == np.float64 else exact[name].dtype)
        np.testing.assert_allclose(value, exact[name], rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_the_same_run_gives_the_same_bits(case: Case) -> None:
    one, two = forward(case, seed=5, dtype="float32"), forward(case, seed=5, dtype="float32")
    for name, value in one.items():
        assert value.tobytes() == two[name].tobytes()


@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("op", ["conv2d", "dense"])
def test_a_fused_activation_equals_one_beside(op: str, kind: str) -> None:
    case = next(c for c in CASES if c.op == op)
    fused = Case(case.op, case.shapes, {**case.attrs, "activation": kind, "alpha": 0.2})
    linear, together = forward(case)[op], forward(fused)[op]
    expected = {
        "relu": np.maximum(linear, 0),
        "leaky_relu": np.where(linear > 0, linear, 0.2 * linear),
        "sigmoid": 1 / (1 + np.exp(-linear)),
        "tanh": np.tanh(linear),
    }[kind]
    np.testing.assert_allclose(together, expected, rtol=1e-12, atol=1e-12)


def test_nothing_overflows_at_extreme_inputs() -> None:
    from handlens.graph import Graph
    from op_runner import run

    x = np.array([[-1000.0, -1.0, 0.0, 1.0, 1000.0]])
    for op in ("sigmoid", "tanh", "softmax"):
        graph = Graph("float64")
        graph.declare("x", x.shape, "input")
        y = graph.one(find(op), ("x",))
        with np.errstate(over="raise", invalid="raise"):
            value = run(graph, {"x": x}, [y])[y]
        assert np.isfinite(value).all()
    case = Case("softmax_cross_entropy", ((1, 2), (1,)))
    assert {c.op for c in ACTIVATION} >= {"relu", "softmax", "dropout"} and case.op in {c.op for c in CASES}


def test_dropout_keeps_the_expected_share_and_scale() -> None:
    case = Case("dropout", ((100, 200), (1,)), {"rate": 0.3}, ("positive", "u32"), dtypes=("", "uint32"))
    x = draw(case, seed=0)[0][0]
    y = forward(case)["dropout"]
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.01
    np.testing.assert_allclose(y[kept], x[kept] / 0.7)
    assert not np.array_equal(kept, forward(case, seed=1)["dropout"] != 0)
