"""Timing: medians of repeated runs; a peer runs its rounds between ours, so that both meet the same noise."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import architectures, backends
from .augment import Augment
from .model import Sequential
from .training import training_plan


def milliseconds(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median time of each function, the functions taking turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()  # the first call allocates and warms caches
    for _ in range(repeats):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def our_step(model: Sequential, batch: int, augment: Augment | None = None) -> tuple[Callable[[], None], int]:
    """A function that takes one training step of Adam on random data, and the step's multiply-adds."""
    plan, generator = training_plan(model, batch, "adam", augment=augment), np.random.default_rng(0)
    program = backends.drive(model.backend.load(plan))
    model.backend.upload(program, "parameters", model.parameters)
    model.backend.upload(program, "data", generator.random((batch, *model.input_shape), np.float32))
    model.backend.upload(program, "targets", generator.integers(0, model.output_shape[0], batch).astype(np.int32))
    control = {
        "rows": np.arange(batch, dtype=np.int32)[None],
        "learning_rate": np.full((1, 1), 1e-3, np.float32),
        "step": np.ones((1, 1), np.float32),
    }

    def step() -> None:
        more = augment.controls((batch, *model.input_shape), 0, 0) if augment else {}
        model.backend.run(program, 1, {**control, **more})

    return step, plan.multiply_adds


def torch_twin(model: Sequential, batch: int) -> dict[str, Callable[[], Any]]:
    """The same network and step in PyTorch, on as many threads as the BLAS of NumPy may use; {} where it is missing."""
    try:
        import torch
    except ImportError:
        return {}
    nn = torch.nn
    torch.set_num_threads(threads())
    parts: list[Any] = []
    channels = model.input_shape[0]
    activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    for row, layer in zip(model.summary().rows, model.layers, strict=True):
        kind, settings = type(layer).__name__, layer.config()
        if kind == "Conv2D":
            parts.append(nn.Conv2d(channels, settings["filters"], settings["kernel_size"], bias=settings["use_bias"]))
            channels = settings["filters"]
        elif kind == "Dense":
            parts.append(nn.LazyLinear(settings["units"]))
        elif kind == "BatchNorm":
            parts.append(nn.BatchNorm2d(row.shape[0]))
        elif kind == "Dropout":
            parts.append(nn.Dropout(settings["rate"]))
        elif kind in ("MaxPool2D", "Flatten", "ReLU"):
            parts.append({"MaxPool2D": lambda: nn.MaxPool2d(2), "Flatten": nn.Flatten, "ReLU": nn.ReLU}[kind]())
        if settings.get("activation") in activations:
            parts.append(activations[settings["activation"]]())
    twin, loss = nn.Sequential(*parts), nn.functional.cross_entropy
    images, labels = torch.rand(batch, *model.input_shape), torch.randint(0, model.output_shape[0], (batch,))
    twin(images)
    optimizer = torch.optim.Adam(twin.parameters())

    def step() -> None:
        twin.train()
        optimizer.zero_grad()
        loss(twin(images), labels).backward()
        optimizer.step()

    def infer(count: int) -> Callable[[], Any]:
        def run() -> None:
            twin.eval()
            with torch.no_grad():
                twin(images[:count])

        return run

    return {"step": step, "one": infer(1), "batch": infer(batch)}


def inference_milliseconds(model: Sequential, repeats: int = 101) -> float:
    """Median time of ``predict`` for one image."""
    image = np.random.default_rng(0).random((1, *model.input_shape), np.float32)
    return milliseconds({"ours": lambda: model.predict(image)}, repeats)["ours"]


def measure(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Training step and inference of a named network, beside PyTorch where it is installed."""
    model = architectures.build(name)
    step, work = our_step(model, batch)
    images = np.random.default_rng(0).random((batch, *model.input_shape), np.float32)
    augmented, _ = our_step(model, batch, Augment())
    ours: dict[str, Callable[[], Any]] = {
        "step": step,
        "one": lambda: model.predict(images[:1]),
        "batch": lambda: model.predict(images),
    }
    theirs = torch_twin(model, batch)
    works = {"step": work, "one": model.summary().multiply_adds, "batch": batch * model.summary().multiply_adds}
    rows = []
    for key, label, count in (
        ("step", f"training step, batch {batch}, Adam", batch),
        ("one", "inference, batch 1", 1),
        ("batch", f"inference, batch {batch}", batch),
    ):
        pair = {"handlens": ours[key]} | ({"torch": theirs[key]} if theirs else {})
        times = milliseconds(pair, repeats)
        mine, peer = times["handlens"], times.get("torch")
        rows.append(
            {
                "what": label,
                "milliseconds": mine,
                "images_per_second": 1e3 * count / mine,
                "gflops": 2e-6 * works[key] / mine,
                "torch_milliseconds": peer,
                "ratio": None if peer is None else mine / peer,
            }
        )
    varied = milliseconds({"plain": step, "augmented": augmented}, repeats)
    return {
        "augmentation": {**varied, "ratio": varied["augmented"] / varied["plain"]},
        "name": name,
        "backend": model.backend.name,
        "threads": threads(),
        "repeats": repeats,
        "machine": machine(),
        "rows": rows,
    }


def machine() -> str:
    """The machine that was measured, in a few words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def threads() -> int:
    """Threads that NumPy's BLAS may use, as far as the environment says."""
    return int(os.environ.get("OPENBLAS_NUM_THREADS") or os.cpu_count() or 1)
