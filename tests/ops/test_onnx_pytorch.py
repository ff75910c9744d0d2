"""Models that PyTorch exported, with PyTorch's outputs, as the onnx package stores them, on our ops."""

from __future__ import annotations

from collections import Counter

import pytest
from ops import onnx_runner as runner

CONVERTED = "pytorch-converted/test_"
# Out of scope, each with its reason; `test_listed_models_have_the_property_named` computes it from the model. Every
# other model that holds one of our ops runs. PyTorch exported AvgPool1d as a 2-D pool, and normalises 1-D and 3-D
# batches channel by channel like any other, so those run.
OUT_OF_SCOPE = {
    **dict.fromkeys((f"{CONVERTED}AvgPool3d{end}" for end in ("", "_stride", "_stride1_pad0_gpu_input")), "3-D"),
    **dict.fromkeys(
        (
            f"{CONVERTED}Conv1d{end}"
            for end in ("", "_dilated", "_groups", "_pad1", "_pad1size1", "_pad2", "_pad2size1", "_stride")
        ),
        "1-D",
    ),
    f"{CONVERTED}Conv2d_depthwise": "groups",
    f"{CONVERTED}Conv2d_depthwise_padded": "groups",
    f"{CONVERTED}Conv2d_depthwise_strided": "groups",
    f"{CONVERTED}Conv2d_depthwise_with_multiplier": "groups",
    f"{CONVERTED}Conv2d_dilated": "dilations",
    f"{CONVERTED}Conv2d_groups": "groups",
    f"{CONVERTED}Conv2d_groups_thnn": "groups",
    **dict.fromkeys(
        (
            f"{CONVERTED}Conv3d{end}"
            for end in ("", "_dilated", "_dilated_strided", "_groups", "_no_bias", "_stride", "_stride_padding")
        ),
        "3-D",
    ),
    **dict.fromkeys((f"{CONVERTED}MaxPool1d{end}" for end in ("", "_stride", "_stride_padding_dilation")), "1-D"),
    f"{CONVERTED}MaxPool2d_stride_padding_dilation": "dilations",
    **dict.fromkeys((f"{CONVERTED}MaxPool3d{end}" for end in ("", "_stride", "_stride_padding")), "3-D"),
    "pytorch-operator/test_operator_maxpool": "1-D",
}

CASES = runner.pytorch_cases()
RUNNING = [name for name in CASES if name not in OUT_OF_SCOPE]


def test_onnx_is_there() -> None:
    """Without the onnx package nothing below runs, which is a failure and not a reason to skip."""
    assert not runner.MISSING, runner.MISSING


def test_at_least_20_models_run() -> None:
    """The list above leaves enough, and each op that the models have is among them."""
    assert len(RUNNING) >= 20
    met = Counter(op for name in RUNNING for op in runner.op_types(CASES[name].model))
    assert set(runner.OPS) - set(met) == {"GlobalAveragePool"}, "no stored model has one"


@pytest.mark.parametrize("name", sorted(OUT_OF_SCOPE))
def test_listed_models_have_the_property_named(name: str) -> None:
    """A model is left out for what it says itself, so that the list cannot hide a failure."""
    assert name in CASES, f"{name} is listed as out of scope, but onnx has no such model"
    assert OUT_OF_SCOPE[name] in set(runner.reasons_against(CASES[name]))


@pytest.mark.parametrize("name", RUNNING)
def test_pytorch_model(name: str) -> None:
    """Our plan's outputs are those that PyTorch computed."""
    runner.check(CASES[name])
