"""The article's figures about neurons: a bias a neuron, activations, linear layers that collapse, approximation.

Each function takes the visitor's own numbers and gives a dict of numbers, texts and arrays. Wrong input: DataError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..backends import NumpyBackend, drive
from ..errors import DataError
from ..layers import Dense
from ..model import Sequential
from ..ops import activation as ops
from ..optimizers import SGD
from ..training import training_plan
from .story_tools import Float, apply, costs, network, slope, slope_by_differences

ACTIVATIONS = {"relu": ops.relu, "sigmoid": ops.sigmoid, "tanh": ops.tanh}
LARGEST = 1e4  # of a number that a visitor types in
UNITS = (1, 2, 4, 8, 16, 32, 64)  # sizes of the hidden layer that the error is shown for
SAMPLES = 101  # points of the curve to approximate


def numbers(values: ArrayLike, *shape: int) -> Float:
    """The visitor's numbers as an array of that shape, each within +-LARGEST; DataError otherwise."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DataError("these are not all numbers") from None
    if array.size != np.prod(shape):
        raise DataError(f"{int(np.prod(shape))} numbers are needed; got {array.size}")
    if not np.isfinite(array).all() or np.abs(array).max() > LARGEST:
        raise DataError(f"numbers from -{LARGEST:.0f} to {LARGEST:.0f} are needed")
    return array.reshape(shape)


def neuron(
    inputs: ArrayLike = (1.0, 0.5, -1.0),
    weights: ArrayLike = (0.8, -0.4, 0.3, -0.5, 1.0, 0.6),
    biases: ArrayLike = (0.1, -0.2),
) -> dict[str, Any]:
    """A dense layer of two neurons over three inputs: ``z_j = sum over i of w_ji x_i + b_j``, one bias a neuron.

    products (2, 3): weight times input, a matrix; sums (2,): theirs, and the bias; z (2,): what the Dense layer gives.
    """
    x, w, b = numbers(inputs, 3), numbers(weights, 2, 3), numbers(biases, 2)
    model = network([Dense(2)], (3,), {"dense1.weight": w, "dense1.bias": b})
    z = np.asarray(model.predict(x[None].astype(np.float32))[0], np.float64)
    (cost,) = costs([Dense(2)], (3,))
    return {
        "inputs": x,
        "weights": w,
        "biases": b,
        "products": w * x,
        "sums": (w * x).sum(axis=1),
        "z": z,
        "activated": apply(ops.relu, z),
        "weight_count": cost.weights,
        "bias_count": cost.biases,
    }


def activations(z: float = 0.8) -> dict[str, Any]:
    """Sigmoid, ReLU and tanh over -4..4, and at ``z``: the value, the slope by rule, and the slope by differences."""
    at, x = numbers([z], 1), np.linspace(-4, 4, 81)
    curves = [
        {
            "name": name,
            "values": apply(op, x),
            "value": float(apply(op, at)[0]),
            "slope": float(slope(op, at)[0]),
            "measured": float(slope_by_differences(op, at)[0]),
        }
        for name, op in ACTIVATIONS.items()
    ]
    return {"z": float(at[0]), "x": x, "curves": curves}


def collapse(relu: bool = False, inputs: ArrayLike = (1.0, -0.5)) -> dict[str, Any]:
    """Two dense layers and the one layer that they equal: ``W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)``.

    relu: put a ReLU between them, and they no longer do. difference: the largest over 1,000 random inputs.
    """
    x = numbers(inputs, 2)
    w1, b1 = np.array([[1.0, -0.5], [0.5, 1.0], [-1.0, 0.5]]), np.array([0.5, -0.5, 0.0])
    w2, b2 = np.array([[1.0, 0.5, -0.5], [-0.5, 1.0, 1.0]]), np.array([0.0, 0.5])
    given = {"dense1.weight": w1, "dense1.bias": b1, "dense2.weight": w2, "dense2.bias": b2}
    deep = network([Dense(3, activation="relu" if relu else None), Dense(2)], (2,), given)
    one = {"dense1.weight": w2 @ w1, "dense1.bias": w2 @ b1 + b2}
    flat = network([Dense(2)], (2,), one)
    many = np.random.default_rng(0).uniform(-2, 2, (1000, 2)).astype(np.float32)
    shown = x[None].astype(np.float32)
    return {
        "relu": relu,
        "inputs": x,
        "first": w1,
        "first_bias": b1,
        "second": w2,
        "second_bias": b2,
        "product": w2 @ w1,
        "product_bias": w2 @ b1 + b2,
        "deep": deep.predict(shown)[0],
        "flat": flat.predict(shown)[0],
        "tried": len(many),
        "difference": float(np.abs(deep.predict(many) - flat.predict(many)).max()),
    }


def _saw(x: Float) -> Float:
    return np.asarray(1.4 * (4 * x % 1) - 0.7)


# Curves over 0..1, with values in -1..1, to begin with before the visitor draws one. Two of them jump.
CURVES: dict[str, Callable[[Float], Float]] = {
    "wave": lambda x: 0.55 * np.sin(2 * np.pi * x) + 0.35 * np.sin(5 * np.pi * x),
    "step": lambda x: np.where(x < 0.5, -0.6, 0.6),
    "tent": lambda x: 0.8 - 1.6 * np.abs(2 * x - 1),
    "teeth": _saw,
}


def curves() -> dict[str, Float]:
    """The curves at the places that are compared."""
    x = np.linspace(0, 1, SAMPLES)
    return {name: np.asarray(made(x), np.float64) for name, made in CURVES.items()}


def jump(name: str) -> float:
    """The height of a curve's jumps, 0 for a continuous one: the largest difference between neighbours so close that
    a slope makes less than a thousandth of it."""
    steps = np.abs(np.diff(CURVES[name](np.linspace(0, 1, 100_001))))
    largest = float(steps.max())
    return round(largest, 3) if largest > 0.01 else 0.0


def between(units: int = 64, start: str = "step") -> float:
    """The largest error of the fit at places a hundred times as close as those that it was fitted to."""
    x = np.linspace(0, 1, 100 * (SAMPLES - 1) + 1)
    model = fitting(curves()[start], units)
    made = np.asarray(model.predict(x[:, None].astype(np.float32))[:, 0], np.float64)
    return float(np.abs(made - CURVES[start](x)).max())


def fitting(curve: Float, units: int) -> Sequential:
    """One hidden layer of ``units`` tanh neurons fitted to a curve over 0..1.

    The neurons' steps are spread evenly and as steep as they are close; only the output layer is fitted, by least
    squares with a small penalty on its weights. Training all weights may do better with as many units, not worse.
    """
    x, steep = np.linspace(0, 1, len(curve)), 2.0 * units
    centres = (np.arange(units) + 0.5) / units
    features = np.column_stack([np.tanh(steep * (x[:, None] - centres)), np.ones(len(x))])
    penalty = 1e-4 * np.eye(units + 1)
    output = np.linalg.solve(features.T @ features + penalty, features.T @ curve)
    weights = {
        "dense1.weight": np.full((units, 1), steep),
        "dense1.bias": -steep * centres,
        "dense2.weight": output[None, :-1],
        "dense2.bias": output[-1:],
    }
    return network([Dense(units, activation="tanh"), Dense(1)], (1,), weights)


def fitted(curve: Float, units: int) -> tuple[Float, float]:
    """What the network of `fitting` makes at the places of the curve, and the largest error there."""
    x = np.linspace(0, 1, len(curve), dtype=np.float32)[:, None]
    made = np.asarray(fitting(curve, units).predict(x)[:, 0], np.float64)
    return made, float(np.abs(made - curve).max())


def approximate(curve: ArrayLike | None = None, units: int = 8, start: str = "wave") -> dict[str, Any]:
    """A curve (values at evenly spaced places over 0..1) and what ``units`` hidden neurons make of it.

    start: which of `curves` it is where none is given.

    errors: the largest error for each of UNITS sizes; parameters: of the network that is shown. jump: how high the
    curve jumps, 0 for a continuous one, as every curve is that is drawn from place to place.
    """
    known = curves()
    if start not in known:
        raise DataError(f"no curve is called {start!r}; there are: {', '.join(known)}")
    wanted = known[start] if curve is None else np.asarray(curve, np.float64)
    if not 2 <= len(wanted) <= 1000:
        raise DataError(f"a curve of 2 to 1000 values is needed; got {len(wanted)}")
    wanted = numbers(wanted, len(wanted))
    if len(wanted) != SAMPLES:
        wanted = np.interp(np.linspace(0, 1, SAMPLES), np.linspace(0, 1, len(wanted)), wanted)
    if not 1 <= int(units) <= 128:
        raise DataError(f"1 to 128 units; got {units}")
    made, error = fitted(wanted, int(units))
    shape = costs([Dense(int(units), activation="tanh"), Dense(1)], (1,))
    return {
        "units": int(units),
        "x": np.linspace(0, 1, SAMPLES),
        "curve": wanted,
        "fitted": made,
        "error": error,
        "sizes": list(UNITS),
        "errors": [fitted(wanted, n)[1] for n in UNITS],
        "jump": jump(start) if curve is None else 0.0,
        "parameters": sum(cost.parameters for cost in shape),
    }


def absolute() -> dict[str, Any]:
    """|x| needs two ReLU neurons, and then it is exact: many functions need few units."""
    layers = [Dense(2, activation="relu"), Dense(1)]
    model = network(layers, (1,), {"dense1.weight": [[1], [-1]], "dense2.weight": [[1, 1]]})
    x = np.linspace(-3, 3, 101, dtype=np.float32)[:, None]
    error = float(np.abs(model.predict(x) - np.abs(x)).max())
    return {"units": costs(layers, (1,))[0].biases, "error": error, "places": len(x)}


def crossed(shares: ArrayLike) -> Float:
    """The loss of an image whose right digit got each of these probabilities: ``-log p``."""
    return np.asarray(-np.log(numbers(shares, np.size(shares))) + 0.0)


def learning(rate: float = 0.05) -> dict[str, Any]:
    """One step of training, taken apart: backpropagation gives the gradient, the optimizer then moves the weight.

    A neuron with one input, squared error. The training plan is run once without its last step, the optimizer, and
    once with it; measured: the gradient by differences of the loss.
    """
    x, y = np.array([[2.0]], np.float32), np.array([[1.0]], np.float32)
    model = network([Dense(1)], (1,), {"dense1.weight": [[1.5]], "dense1.bias": [0.0]})
    plan, start = training_plan(model, 1, SGD(rate)), model.parameters.copy()
    rows, one, runs = np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), []
    for steps in (plan.steps[:-1], plan.steps):
        backend, parameters = NumpyBackend(), start.copy()
        program = drive(backend.load(replace(plan, steps=steps), {"parameters": parameters}))
        backend.upload(program, "data", x)
        backend.upload(program, "targets", y)
        backend.run(program, 1, {"rows": rows, "learning_rate": one * np.float32(rate), "step": one})
        gradients = drive(backend.fetch(program, "gradients"))["gradients"].view(np.float32)
        runs.append((float(parameters[0]), float(gradients[0])))

    def loss(weight: float) -> float:
        model.load_state_dict({"dense1.weight": np.array([[weight]]), "dense1.bias": np.zeros(1)})
        return float(model.evaluate(x, y)["loss"])

    weight, h = float(start[0]), 1e-2
    return {
        "rate": rate,
        "weight": weight,
        "gradient": runs[0][1],
        "measured": (loss(weight + h) - loss(weight - h)) / (2 * h),
        "after_backpropagation": runs[0][0],
        "after_optimizer": runs[1][0],
        "last_step": plan.steps[-1].op,
    }
