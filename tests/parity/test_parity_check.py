"""What the parity tests say when a backend is wrong: where, both values, by how much of the terms, and the seed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from handlens.backends import NumpyBackend
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import SUMS, check_forward, check_gradients, gradients, scale_of

SEED = 5
CONVOLUTION = next(case for case in CASES if case.id.startswith("conv2d-2x3x7x6_4x3x3x3_4"))


class Off(NumpyBackend):
    """NumPy, but one value of what is asked for last is off by ``by``."""

    def __init__(self, place: tuple[int, ...], by: float) -> None:
        super().__init__()
        self.place, self.by = place, np.float32(by)

    async def fetch(self, program: Any, *names: str) -> dict[str, np.ndarray]:
        found = await super().fetch(program, *names)
        right = found[names[-1]][self.place]
        found[names[-1]][self.place] += self.by
        self.told = right, found[names[-1]][self.place]
        return found


def complaint(check: Any, case: Case, backend: Off) -> str:
    """What the check says."""
    with pytest.raises(AssertionError) as caught:
        check(case, backend, 1e-4, SEED)
    return str(caught.value)


@pytest.mark.parametrize("by", [0.5, np.nan, np.inf])
def test_a_wrong_value_is_told_with_its_place_both_values_and_the_seed(by: float) -> None:
    backend = Off((1, 3, 2, 0), by)
    said = complaint(check_forward, CONVOLUTION, backend)
    right, wrong = backend.told
    place = rf"{re.escape(CONVOLUTION.id)} \w+, seed {SEED}: at \(1, 3, 2, 0\) "
    found = re.fullmatch(place + r"found (\S+), expected (\S+), error (\S+) of the terms, allowed 0\.0001", said)
    assert found, said
    values = [float(re.sub(r"np\.float\d\d\((.+)\)", r"\1", text)) for text in found.groups()]
    np.testing.assert_allclose(values[:2], [wrong, right], rtol=1e-5)
    terms = scale_of(CONVOLUTION, {"y": np.zeros(())}, SEED)["y"][1, 3, 2, 0]
    if np.isfinite(by):
        assert values[2] == pytest.approx(by / terms, rel=1e-2)


def test_a_wrong_gradient_too() -> None:
    said = complaint(check_gradients, CONVOLUTION, Off((2,), 0.5))  # the bias's gradient comes last
    place = rf"{re.escape(CONVOLUTION.id)} gradient of b, seed {SEED}: at \(2,\) found .+, expected .+, "
    assert re.match(place + r"error \S+ of the terms, allowed 0\.0001$", said), said


@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if c.op in SUMS], ids=lambda c: c.id)
def test_no_gradient_is_larger_than_the_sum_of_its_terms(case: Case) -> None:
    terms = gradients(case, SEED, absolute=True)
    for name, value in gradients(case, SEED).items():
        assert (np.abs(value) <= terms[name] * (1 + 1e-12)).all(), name
