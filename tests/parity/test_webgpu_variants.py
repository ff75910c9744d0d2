"""The kernels that come in two variants, each of them held against NumPy, whichever a device would choose."""

from __future__ import annotations

import pytest
from gpu_plans import plans_of_every_kernel
from handlens.backends import drive
from handlens.backends.webgpu import WebgpuBackend, host_gpu
from handlens.backends.webgpu.kernels import all_kernels
from op_cases import CASES, Case
from parity_check import check_forward, check_gradients

FORWARD = 1e-4
OPS = ("conv2d", "dense", "matmul")


@pytest.fixture
def another(webgpu: WebgpuBackend) -> host_gpu.HostGpu:
    """A device that has compiled nothing yet."""
    return host_gpu.HostGpu()


def test_nagas_compiler_takes_every_kernel(another: host_gpu.HostGpu) -> None:
    for plan, variants in plans_of_every_kernel():
        backend = WebgpuBackend(another, variants)
        backend.close(drive(backend.load(plan)))
    assert {source.name for source in another._pipelines} == set(all_kernels())


def test_of_many_shaders_the_newest_are_kept(another: host_gpu.HostGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_gpu, "PIPELINES_KEPT", 3)
    case = next(c for c in CASES if c.op == "conv2d")
    for _ in range(2):  # the second time they are compiled again
        check_forward(case, WebgpuBackend(another), FORWARD)
        check_gradients(case, WebgpuBackend(another), 1e-3)
    assert len(another._pipelines) == 3


@pytest.mark.parametrize("variant", ["register", "tiled"])
@pytest.mark.parametrize("case", [c for c in CASES if c.op in OPS], ids=lambda c: c.id)
def test_forward(case: Case, variant: str, webgpu: WebgpuBackend) -> None:
    chosen = WebgpuBackend(webgpu.device, {case.op: variant})
    check_forward(case, chosen, FORWARD)
