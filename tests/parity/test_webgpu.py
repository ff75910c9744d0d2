"""The WGSL kernels, in CPython through wgpu-native, against NumPy: each case of the table, forward and backward."""

from __future__ import annotations

import pytest
from handlens.backends.webgpu import WebgpuBackend
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import check_forward, check_gradients

FORWARD, BACKWARD = 1e-4, 1e-3


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, webgpu: WebgpuBackend) -> None:
    check_forward(case, webgpu, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, webgpu: WebgpuBackend) -> None:
    check_gradients(case, webgpu, BACKWARD)
