"""What the tests of attributions, patches and the table share: shipped models, sample images, float64 scores."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import handlens
import numpy as np
from handlens.backends import NumpyBackend, drive
from handlens.graph import Graph
from handlens.model import Sequential
from handlens.plan import make_plan

WEB = Path(__file__).resolve().parents[2] / "web"
SHIPPED = ("digits", "convnet", "cnn-small", "ann", "ann-matched", "linear")
CNNS = ("digits", "convnet", "cnn-small")


def shipped(name: str, backend: str = "numpy") -> Sequential:
    """A fresh copy of a shipped model."""
    return handlens.load(WEB / "models" / f"{name}.safetensors", backend)


@cache
def samples(name: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) uint8 and labels that the page ships."""
    images = gzip.decompress((WEB / "samples" / f"{name}-images.idx3.gz").read_bytes())
    labels = gzip.decompress((WEB / "samples" / f"{name}-labels.idx1.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def noisy(index: int = 0, seed: int = 0) -> np.ndarray:
    """A test image (1, 1, 28, 28), float64, with noise on it: no two cells of a pooling window are equal, so that a
    difference quotient means something everywhere."""
    noise = np.random.default_rng(seed).random((1, 1, 28, 28))
    return 0.8 * samples()[0][index].astype(np.float64) / 255 + 0.2 * noise


def runner(model: Sequential, graph: Graph) -> Callable[..., dict[str, np.ndarray]]:
    """A graph in float64 on NumPy, with the model's weights: a function of its inputs that gives its outputs."""
    backend = NumpyBackend()
    plan = make_plan(graph, model.layout, model.state_layout)
    shared = {name: getattr(model, name).astype(np.float64) for name in ("parameters", "state") if name in plan.buffers}
    program = drive(backend.load(plan, shared))
    backend.prepare(program)

    def run(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        for name, value in inputs.items():
            backend.upload(program, name, value)
        backend.run(program)
        return drive(backend.fetch(program, *plan.outputs))

    return run


def logits64(model: Sequential) -> Callable[[np.ndarray], np.ndarray]:
    """The network's scores in float64, as a function of the image; built from the plain inference graph alone."""
    graph = model.graph(1, None, "float64")
    graph.outputs = {"logits": graph.outputs["logits"]}
    run = runner(model, graph)
    return lambda x: run(input=x)["logits"][0]


async def note_turns(gaps: list[float]) -> None:
    """Until cancelled, note the seconds of this thread's own work from one turn of the event loop to the next."""
    last = time.thread_time()
    while True:
        await asyncio.sleep(0)
        gaps.append(time.thread_time() - last)
        last = time.thread_time()
