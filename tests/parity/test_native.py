"""The compiled kernels on this host, at each level of its processor, against NumPy: the case table, both directions."""

from __future__ import annotations

import pytest
from handlens.backends.native import NativeBackend
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import check_forward, check_gradients

FORWARD, BACKWARD = 1e-5, 1e-4


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, native: NativeBackend) -> None:
    check_forward(case, native, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, native: NativeBackend) -> None:
    check_gradients(case, native, BACKWARD)
