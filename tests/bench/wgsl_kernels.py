"""GFLOP/s of each WGSL kernel on the layers of `convnet`, through wgpu-native, beside the adapter's measured peak.

Run by hand: `.venv/bin/python tests/bench/wgsl_kernels.py --batch 1 256 --variant register tiled`. On a machine without
a GPU it measures SwiftShader, which Chromium brings along. A multiply-add counts as two operations. Times are the best
of several submits; a submit holds as many runs as take about 50 ms, so that waiting for it is not what is measured.
`--cpu` counts seconds of processor time in place of seconds: on SwiftShader a measure that other work does not disturb.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "build")]
sys.dont_write_bytecode = True

import gpu_driver  # noqa: E402
from handlens.backends import drive  # noqa: E402
from handlens.backends.webgpu import WebgpuBackend  # noqa: E402
from handlens.backends.webgpu.backend import TWO_VARIANTS  # noqa: E402
from handlens.backends.webgpu.host_gpu import HostGpu  # noqa: E402
from handlens.backends.webgpu.lowered import Source  # noqa: E402
from handlens.graph import Graph  # noqa: E402
from handlens.ops import find  # noqa: E402
from handlens.plan import make_plan  # noqa: E402

clock = time.perf_counter
SUBMIT = 0.05  # seconds of work to put into one submit
MOST_RUNS = 64
# Eight chains, as an invocation needs to keep one lane of a real GPU busy. The start comes from memory: nothing folds.
PEAK = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = y[id.x];
  var a = vec4f(s, s + 1.0, s + 2.0, s + 3.0);
  var b = a + 4.0;
  for (var k = 0u; k < 1024u; k++) {
    a = fma(a, vec4f(0.999), vec4f(s)); b = fma(b, vec4f(0.999), vec4f(s));
    a = fma(a, vec4f(0.998), vec4f(s)); b = fma(b, vec4f(0.998), vec4f(s));
    a = fma(a, vec4f(0.997), vec4f(s)); b = fma(b, vec4f(0.997), vec4f(s));
    a = fma(a, vec4f(0.996), vec4f(s)); b = fma(b, vec4f(0.996), vec4f(s));
  }
  let v = a + b;
  y[id.x] = v.x + v.y + v.z + v.w;
}
"""


@dataclass(frozen=True)
class Job:
    """One op on shapes of its own."""

    layer: str
    op: str
    shapes: tuple[tuple[int, ...], ...]
    attrs: dict[str, Any] = field(default_factory=dict)


def jobs(n: int) -> Iterator[Job]:
    """The three layers of `convnet` that multiply, forward and backward, and a square matrix product."""
    for name, c, f, size in (("conv1", 1, 32, 28), ("conv2", 32, 64, 13)):
        x, w, y = (n, c, size, size), (f, c, 3, 3), (n, f, size - 2, size - 2)
        yield Job(name, "conv2d", (x, w, (f,)), {"activation": "relu"})
        yield Job(name, "conv2d_dx", (w, y), {"input_size": [size, size]})
        yield Job(name, "conv2d_dw", (x, y), {"kernel_size": [3, 3], "bias": True})
    x, w, y = (n, 1600), (10, 1600), (n, 10)
    yield Job("dense", "dense", (x, w, (10,)))
    yield Job("dense", "dense_dx", (w, y))
    yield Job("dense", "dense_dw", (x, y), {"bias": True})
    yield Job("hidden", "dense", ((n, 784), (128, 784), (128,)), {"activation": "relu"})
    yield Job("square", "matmul", ((2 * n, 2 * n), (2 * n, 2 * n)))


def best(run: Callable[[int], None], rounds: int) -> float:
    """Seconds of one run, in the fastest of ``rounds`` submits."""
    run(1)  # the first one warms up
    start = clock()
    run(1)
    count = max(1, min(MOST_RUNS, round(SUBMIT / (clock() - start))))
    times = []
    for _ in range(rounds):
        start = clock()
        run(count)
        times.append((clock() - start) / count)
    return min(times)


def measure(backend: WebgpuBackend, job: Job, rounds: int) -> tuple[float, float]:
    """(seconds, operations) of one job."""
    graph = Graph()
    names = [n.removesuffix("?") for n in find(job.op).inputs[: len(job.shapes)]]
    for name, shape in zip(names, job.shapes, strict=True):
        graph.declare(name, shape, "input")
    outputs = list(graph.emit(find(job.op), names, job.attrs))
    graph.outputs = {name: name for name in outputs}
    program = drive(backend.load(make_plan(graph)))
    generator = np.random.default_rng(0)
    for name, shape in zip(names, job.shapes, strict=True):
        backend.upload(program, name, generator.standard_normal(shape, np.float32))

    def run(count: int) -> None:
        backend.run(program, count)
        drive(backend.device.settled())

    try:
        return best(run, rounds), 2.0 * program.plan.multiply_adds
    finally:
        backend.close(program)


def peak(device: HostGpu, rounds: int) -> float:
    """Operations a second that the adapter reaches when nothing but registers is read."""
    count = 1 << 13 if device.adapter.software else 1 << 22
    buffer = device._storage(4 * count)
    pipeline = device._pipeline(Source("peak", PEAK, (True,)))
    entry = {"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": 4 * count}}
    group = device.device.create_bind_group(layout=device._layout((True,)), entries=[entry])

    def run(times: int) -> None:
        encoder = device.device.create_command_encoder()
        device._replay(encoder, [(pipeline, group, (count // 64, 1, 1))] * times)
        device.queue.submit([encoder.finish()])
        drive(device.settled())

    return count * 1024 * 32 * 2 / best(run, rounds)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 128, 256])
    parser.add_argument("--variant", nargs="+", default=["register"], choices=["register", "tiled"])
    parser.add_argument("--only", default="", help="part of a layer's or an op's name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="processor time, all threads together")
    given = parser.parse_args()
    if given.cpu:
        global clock
        clock = time.process_time
    import step_browser

    gpu_driver.use_swiftshader(str(step_browser.require_chromium(install=False)))
    device = HostGpu()
    top = peak(device, given.rounds)
    print(f"{device.adapter.name}: {top / 1e9:,.1f} GFLOP/s of multiply-adds in registers\n")
    print("| batch | layer | op | variant | ms | GFLOP/s | of the peak |\n|--:|---|---|---|--:|--:|--:|")
    for variant in given.variant:
        backend = WebgpuBackend(device, dict.fromkeys(("conv2d", "dense", "matmul"), variant))
        for n in given.batch:
            for job in jobs(n):
                if given.only in f"{job.layer} {job.op}" and (variant == "register" or job.op in TWO_VARIANTS):
                    seconds, work = measure(backend, job, given.rounds)
                    speed = f"{work / seconds / 1e9:.2f} | {work / seconds / top:.1%}"
                    print(f"| {n} | {job.layer} | {job.op} | {variant} | {seconds * 1e3:.3f} | {speed} |", flush=True)


if __name__ == "__main__":
    main()
