"""ONNX's generated node cases on our ops: another project's inputs and expected outputs, none of them ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ops import onnx_runner as runner

# Out of scope, each with its reason; `test_listed_cases_have_the_property_named` computes it from the model. Every
# other case runs. All are float32 but the one of integers; float64 is the gradient checks' business.
OUT_OF_SCOPE = {
    "test_averagepool_1d_default": "1-D",
    "test_averagepool_2d_dilations": "dilations",
    "test_averagepool_3d_default": "3-D",
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False": "3-D",
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True": "3-D",
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False": "3-D",
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": "3-D",
    "test_averagepool_3d_dilations_small": "3-D",
    "test_batchnorm_epsilon_training_mode": "training mode",
    "test_batchnorm_example_training_mode": "training mode",
    "test_maxpool_1d_default": "1-D",
    "test_maxpool_2d_dilations": "dilations",
    "test_maxpool_2d_uint8": "integer types",
    "test_maxpool_3d_default": "3-D",
    "test_maxpool_3d_dilations": "3-D",
    "test_maxpool_3d_dilations_use_ref_impl": "3-D",
    "test_maxpool_3d_dilations_use_ref_impl_large": "3-D",
    "test_maxpool_with_argmax_2d_precomputed_pads": "argmax output",
    "test_maxpool_with_argmax_2d_precomputed_strides": "argmax output",
}

CASES = runner.node_cases()
RUNNING = [name for name in CASES if name not in OUT_OF_SCOPE]


def test_onnx_is_there() -> None:
    """Without the onnx package nothing below runs, which is a failure and not a reason to skip."""
    assert not runner.MISSING, runner.MISSING


def test_at_least_55_cases_run_and_every_op_has_some() -> None:
    """The lists above leave enough, and leave no op without a case."""
    assert len(RUNNING) >= 55
    assert {op for name in RUNNING for op in runner.op_types(CASES[name].model)} == set(runner.OPS)


@pytest.mark.parametrize("name", sorted(OUT_OF_SCOPE))
def test_listed_cases_have_the_property_named(name: str) -> None:
    """A case is left out for what its model says, so that the list cannot hide a failure."""
    assert name in CASES, f"{name} is listed as out of scope, but onnx has no such case"
    assert OUT_OF_SCOPE[name] in set(runner.reasons_against(CASES[name]))


def test_every_case_is_one_node() -> None:
    """What runs is the op itself: no case is the function body of a larger one."""
    assert [name for name, case in CASES.items() if len(case.model.graph.node) != 1] == []


@pytest.mark.parametrize("name", RUNNING)
def test_node_case(name: str) -> None:
    """Our plan's outputs are those that ONNX expects."""
    runner.check(CASES[name])


@pytest.mark.parametrize("change", ["value", "shape", "dtype"])
def test_a_wrong_expectation_fails(change: str) -> None:
    """The comparison sees one value that is 1 % off, a lost axis, and another type."""
    case = CASES["test_conv_with_strides_padding"]
    (expected,) = case.outputs
    wrong = expected.copy()
    wrong.flat[-1] *= 1.01
    other = {"value": wrong, "shape": expected[0], "dtype": expected.astype(np.float64)}[change]
    runner.check(case)
    with pytest.raises(AssertionError):
        runner.check(replace(case, outputs=(other,)))


@pytest.mark.slow
def test_no_case_is_missed() -> None:
    """ONNX's own collector, which makes the cases of all ops, finds the same ones."""
    assert set(runner.all_node_cases()) == set(CASES)
