"""The compiled kernels under address and undefined-behaviour sanitizers: the case table, and whole networks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import sanitized
import step_kernels
from op_cases import CASES, DIFFERENTIABLE


def test_the_case_table(sanitized_kernels: Path) -> None:
    said = sanitized.passed(sanitized_kernels, "table")
    assert f"check_forward: {len(CASES)} cases" in said
    assert f"check_gradients: {len(DIFFERENTIABLE)} cases" in said


def test_networks_read_and_learn(sanitized_kernels: Path) -> None:
    said = sanitized.passed(sanitized_kernels, "networks")
    assert [line.split(":")[0] for line in said.splitlines()] == ["cnn-small", "convnet", "digits"]


def patched(folder: Path, file: str, old: str, new: str) -> Path:
    """The kernels with one line changed, sanitized."""
    sources = folder / "kernels"
    shutil.copytree(step_kernels.SOURCES, sources)
    text = (sources / file).read_text("utf-8")
    assert text.count(old) == 1, f"{file} has changed: this test is to be written anew"
    (sources / file).write_text(text.replace(old, new), "utf-8")
    return sanitized.build(folder / "handlens-patched.so", sources)


def test_a_kernel_that_writes_one_float_too_far_is_found(sanitized_kernels: Path, tmp_path: Path) -> None:
    end = "void softmax_run(const hl_call *call) {"
    library = patched(tmp_path, "softmax.c", end, f"{end}\n  hl_floats(call->out[0])[call->out[0]->size] = 0;")
    found = sanitized.run(library, "table", "softmax")
    assert found.returncode != 0
    assert "heap-buffer-overflow" in found.stderr
    assert re.search(r"WRITE of size 4.*\n.*softmax_run", found.stderr)


def test_a_kernel_that_reads_what_nobody_wrote_is_found(sanitized_kernels: Path, tmp_path: Path) -> None:
    end = "void softmax_run(const hl_call *call) {"
    library = patched(tmp_path, "softmax.c", end, f"{end}\n  if (*hl_floats(call->out[0]) != 0) return;")
    found = sanitized.run(library, "table", "softmax")
    assert found.returncode != 0
    assert "AssertionError" in found.stderr
    assert "nan" in found.stderr


def test_undefined_behaviour_is_found(sanitized_kernels: Path, tmp_path: Path) -> None:
    end = "void softmax_run(const hl_call *call) {"
    line = "volatile int32_t most = INT32_MAX - 1 + call->ins;\n  most += call->outs;"
    library = patched(tmp_path, "softmax.c", end, f"{end}\n  {line}")
    found = sanitized.run(library, "table", "softmax")
    assert found.returncode != 0
    assert "runtime error: signed integer overflow" in found.stderr
