"""Timing: medians of repeated runs. What is compared takes turns in one run, so that all of it meets the same noise.

Everything computes on one thread: :func:`alone` is the environment in which NumPy's BLAS and PyTorch have one.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import architectures, backends
from .augment import Augment
from .backends.base import Backend
from .backends.native import NativeBackend, library
from .errors import BackendError
from .graph import Array
from .layers.regularization import SEED
from .model import Sequential
from .plan import Plan
from .training import training_plan

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LEAST = 0.02  # s: a round of what takes less holds several runs, so that its caches are as warm as in use
JOBS = ("step", "one", "batch")
Work = dict[str, Callable[[], Any]]


@dataclass
class Engine:
    """Something that computes: one function a job, or the sentence that says why it cannot run here."""

    name: str
    work: Work = field(default_factory=dict)
    reason: str = ""


def milliseconds(functions: Mapping[str, Callable[[], Any]], repeats: int, least: float = 0.0) -> dict[str, float]:
    """Median time of each function, the functions taking turns; a round repeats what takes less than ``least``
    seconds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()  # the first call allocates and warms caches
    for _ in range(repeats):
        for name, function in functions.items():
            began, count, spent = time.perf_counter(), 0, 0.0
            while not count or spent < least:
                function()
                count += 1
                spent = time.perf_counter() - began
            times[name].append(1e3 * spent / count)
    return {name: statistics.median(values) for name, values in times.items()}


def step_control(plan: Plan, batch: int, rate: float) -> dict[str, Array]:
    """What one training step on the first ``batch`` rows of the data asks for."""
    given: dict[str, Array] = {
        "rows": np.arange(batch, dtype=np.int32)[None],
        "learning_rate": np.full((1, 1), rate, np.float32),
        "step": np.ones((1, 1), np.float32),
        SEED: np.full((1, 1), 5, np.uint32),
    }
    return {name: value for name, value in given.items() if name in plan.controls}


def step_program(
    model: Sequential, batch: int, rate: float, augment: Augment | None = None
) -> tuple[backends.Program, dict[str, Array]]:
    """A training step of Adam on random data, loaded and filled, and its control values."""
    plan, generator = training_plan(model, batch, "adam", augment=augment), np.random.default_rng(0)
    program = backends.drive(model.backend.load(plan))
    model.backend.upload(program, "parameters", model.parameters)
    model.backend.upload(program, "data", generator.random((batch, *model.input_shape), np.float32))
    model.backend.upload(program, "targets", generator.integers(0, model.output_shape[0], batch).astype(np.int32))
    model.backend.prepare(program)
    more = augment.controls((batch, *model.input_shape), 0, 0) if augment else {}
    return program, {**step_control(plan, batch, rate), **more}


def our_step(model: Sequential, batch: int, augment: Augment | None = None) -> tuple[Callable[[], None], int]:
    """A function that takes one training step of Adam on random data, and the step's multiply-adds."""
    program, control = step_program(model, batch, 1e-3, augment)
    shape = (batch, *model.input_shape)

    def step() -> None:
        more = augment.controls(shape, 0, 0) if augment else {}
        model.backend.run(program, 1, {**control, **more})

    return step, program.plan.multiply_adds


def torch_layers(torch: Any, model: Sequential) -> list[Any]:
    """The network's layers in PyTorch, with weights of its own."""
    nn, parts, channels = torch.nn, [], model.input_shape[0]
    activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    plain = {"MaxPool2D": lambda: nn.MaxPool2d(2), "Flatten": nn.Flatten, "ReLU": nn.ReLU}
    for row, layer in zip(model.summary().rows, model.layers, strict=True):
        kind, settings = type(layer).__name__, layer.config()
        if kind == "Conv2D":
            options = {"bias": settings["use_bias"], "padding": settings["padding"]}
            parts.append(nn.Conv2d(channels, settings["filters"], settings["kernel_size"], **options))
            channels = settings["filters"]
        elif kind == "Dense":
            parts.append(nn.LazyLinear(settings["units"]))
        elif kind == "BatchNorm":
            parts.append(nn.BatchNorm2d(row.shape[0]))
        elif kind == "Dropout":
            parts.append(nn.Dropout(settings["rate"]))
        elif kind in plain:
            parts.append(plain[kind]())
        if settings.get("activation") in activations:
            parts.append(activations[settings["activation"]]())
    return parts


def torch_twin(model: Sequential, batch: int, images: int) -> Engine:
    """The same network and step in PyTorch on one thread, or why there is none."""
    try:
        import torch
    except ImportError:
        return Engine("PyTorch", reason="not installed in this Python")
    torch.set_num_threads(1)
    twin, loss = torch.nn.Sequential(*torch_layers(torch, model)), torch.nn.functional.cross_entropy
    x, many = torch.rand(batch, *model.input_shape), torch.rand(images, *model.input_shape)
    labels = torch.randint(0, model.output_shape[0], (batch,))
    twin(x)
    optimizer = torch.optim.Adam(twin.parameters())

    def step() -> None:
        twin.train()
        optimizer.zero_grad()
        loss(twin(x), labels).backward()
        optimizer.step()

    def infer(given: Any) -> Callable[[], Any]:
        def run() -> Any:
            twin.eval()
            with torch.inference_mode():
                return torch.softmax(twin(given), 1).numpy()

        return run

    return Engine(f"PyTorch {torch.__version__}", {"step": step, "one": infer(many[:1]), "batch": infer(many)})


def builds() -> list[library.Library]:
    """Every build of the compiled kernels that this machine runs, best first; none where there is none."""
    try:
        best = library.find()
    except BackendError:
        return []
    names = library.candidates()
    lower = [library.FOLDER / name for name in names[names.index(best.path.name) + 1 :]]
    return [best, *(library.Library(path) for path in lower if path.is_file())]


def ours(name: str, model: str, backend: Backend, batch: int, images: int) -> Engine:
    """A named network on one of our backends, counted from Python to Python."""
    network = architectures.build(model)
    network.use(backend)
    step, _ = our_step(network, batch)
    x = np.random.default_rng(0).random((images, *network.input_shape), np.float32)
    return Engine(name, {"step": step, "one": lambda: network.predict(x[:1]), "batch": lambda: network.predict(x)})


def engines(model: str, batch: int, images: int) -> list[Engine]:
    """What is compared on a host: NumPy, the compiled kernels for each level of this processor, PyTorch."""
    found = [ours("NumPy", model, backends.NumpyBackend(), batch, images)]
    libraries = builds()
    if not libraries:
        found.append(Engine("native", reason=backends.why_not("native")))
    found += [ours(f"native {lib.title}", model, NativeBackend(lib), batch, images) for lib in reversed(libraries)]
    return [*found, torch_twin(architectures.build(model), batch, images)]


def inference_milliseconds(model: Sequential, repeats: int = 101) -> float:
    """Median time of ``predict`` for one image."""
    image = np.random.default_rng(0).random((1, *model.input_shape), np.float32)
    return milliseconds({"ours": lambda: model.predict(image)}, repeats)["ours"]


def measure(name: str, batch: int, images: int, repeats: int) -> dict[str, Any]:
    """Training step and inference of a named network on every engine, by turns."""
    model = architectures.build(name)
    found = engines(name, batch, images)
    once = model.summary().multiply_adds
    labels = {
        "step": (f"training step, batch {batch}, Adam", batch, our_step(model, batch)[1]),
        "one": ("inference, batch 1", 1, once),
        "batch": (f"inference, batch {images}", images, images * once),
    }
    best = [engine.name for engine in found if engine.work and not engine.name.startswith("PyTorch")][-1]
    rows = []
    for job in JOBS:
        label, count, work = labels[job]
        times = milliseconds({engine.name: engine.work[job] for engine in found if engine.work}, repeats, LEAST)
        mine = times[best]
        rows.append(
            {
                "what": label,
                "times": times,
                "milliseconds": mine,
                "images_per_second": 1e3 * count / mine,
                "gflops": 2e-6 * work / mine,
                "ratios": {other: mine / ms for other, ms in times.items() if other != best},
            }
        )
    return {
        "name": name,
        "engines": [engine.name for engine in found],
        "best": best,
        "missing": {engine.name: engine.reason for engine in found if engine.reason},
        "augmentation": augmentation(name, batch, repeats),
        "threads": threads(),
        "repeats": repeats,
        "machine": machine(),
        "rows": rows,
    }


def augmentation(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """A training step with and without augmentation on the best backend but a GPU, by turns."""
    model = architectures.build(name)
    model.use(backends.after("webgpu"))
    pair = {"plain": our_step(model, batch)[0], "augmented": our_step(model, batch, Augment())[0]}
    times = milliseconds(pair, repeats)
    return {**times, "backend": model.backend.name, "ratio": times["augmented"] / times["plain"]}


def processor() -> str:
    """The processor's own name where the system tells it, else its kind."""
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def machine() -> str:
    """The machine that was measured, in a few words."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{processor()}, {os.cpu_count()} cores, {versions}"


def alone() -> dict[str, str]:
    """The environment in which BLAS and PyTorch compute on one thread; it has to stand before they are imported."""
    return dict.fromkeys(THREADS, "1")


def threads() -> int:
    """Threads that NumPy's BLAS may use, as far as the environment says."""
    return int(os.environ.get("OPENBLAS_NUM_THREADS") or os.cpu_count() or 1)
