"""The kernels that come in two variants, each of them held against NumPy, whichever a device would choose."""

from __future__ import annotations

import pytest
from handlens.backends.webgpu import WebgpuBackend
from op_cases import CASES, Case
from parity_check import check_forward

FORWARD = 1e-4
OPS = ("conv2d", "dense", "matmul")


@pytest.mark.parametrize("variant", ["register", "tiled"])
@pytest.mark.parametrize("case", [c for c in CASES if c.op in OPS], ids=lambda c: c.id)
def test_forward(case: Case, variant: str, webgpu: WebgpuBackend) -> None:
    chosen = WebgpuBackend(webgpu.device, {case.op: variant})
    check_forward(case, chosen, FORWARD)
