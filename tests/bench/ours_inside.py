"""Runs inside a Pyodide worker: Handlens at the peers' workload, counted from Python to Python."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import handlens
import numpy as np
from handlens import backends
from handlens.layers import Dropout
from handlens.optimizers import Adam
from handlens.training import Training

held: dict[str, Any] = {}


async def answer(call: str, given: str) -> str:
    """One of the functions below."""
    return json.dumps(await globals()[call](**json.loads(given)))


def array(data: str, *shape: int) -> np.ndarray:
    """Float32 values that came as base64."""
    return np.frombuffer(base64.b64decode(data), np.float32).reshape(shape).copy()


async def start(backend: str, weights: str, images: str, labels: str) -> str:
    """Open the backend and load the network; one line about it."""
    chosen = await backends.open_webgpu() if backend == "webgpu" else backends.get(backend)
    held["bytes"] = base64.b64decode(weights)
    held["x"] = array(images, -1, 1, 28, 28)
    held["y"] = array(labels, -1).astype(np.int64)
    held["backend"], held["model"] = chosen, handlens.load(held["bytes"])
    held["model"].use(chosen)
    return f"handlens {handlens.__version__}, {backend}"


def plain() -> Any:
    """The network anew, without dropout."""
    model = handlens.load(held["bytes"])
    layers = [layer for layer in model.layers if not isinstance(layer, Dropout)]
    bare = handlens.Sequential(layers, model.input_shape, weights=model.state_dict())
    bare.use(held["backend"])
    return bare


async def probabilities(batch: int, rows: int) -> list[float]:
    """The first rows of a batch's probabilities, flat."""
    found = await held["model"].predict_async(held["x"][:batch])
    sound()
    return [float(value) for value in found[:rows].reshape(-1)]


def sound() -> None:
    """The backend asked for is the one that computed."""
    if held["model"].handed_over:
        raise RuntimeError(held["model"].handed_over[-1])


async def losses(batch: int, steps: int) -> list[float]:
    """The losses of so many Adam steps on one batch."""
    x, y = held["x"][:batch], held["y"][:batch]
    settings = {"epochs": steps, "batch_size": batch, "optimizer": Adam(1e-3), "shuffle": False, "progress": False}
    history = await plain().fit_async(x, y, **settings)
    if history.handed_over:
        raise RuntimeError(history.handed_over[-1])
    return [row["loss"] for row in history.epochs]


async def sample(kind: str, batch: int, least: float) -> float:
    """Milliseconds a run, over as many as fill ``least`` milliseconds."""
    work = infer if kind == "infer" else train
    began, count = time.perf_counter(), 0
    while not count or (time.perf_counter() - began) * 1e3 < least:
        await work(batch)
        count += 1
    sound()
    return (time.perf_counter() - began) * 1e3 / count


async def infer(batch: int) -> None:
    """Upload, run, read back; as the page's engine does it, which waits only for a device."""
    model, images = held["model"], held["x"][:batch]
    if model.backend.suspends:
        await model.predict_async(images)
    else:
        model.predict(images)


async def train(batch: int) -> None:
    """One step of the recipe's own network, dropout included; the loss is read back."""
    if "training" not in held:
        model = handlens.load(held["bytes"])
        model.use(held["backend"])
        x, y = held["x"][:batch], held["y"][:batch]
        held["training"] = Training(model, x, y, batch_size=batch, optimizer=Adam(1e-3), progress=False)
    training = held["training"]
    program = await training.program(batch)
    await held["backend"].run_async(program, 1, training.control(0))
    await held["backend"].recorded(program)
