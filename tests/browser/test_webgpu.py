"""WebGPU in Chromium, from a Pyodide worker: the case table against NumPy, what a run costs, and every way to fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import explained
import numpy as np
import pytest
from gpu_inside import CELLS
from gpu_page import GpuPage, RemoteBackend
from gpu_plans import plans_of_every_kernel
from handlens.backends.webgpu.kernels import all_kernels
from handlens.inside.explain import Lens
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import check_forward, check_gradients
from playwright.sync_api import Browser
from worker_arrays import unpacked

FORWARD, BACKWARD = 1e-4, 1e-3
# Across the borders of tiles, with padding, with strides; in wgpu all cases are held to both kernels.
TILED = [c for c in CASES if c.note == "tiles" or c.id.startswith(("conv2d-3x5x9x10", "conv2d-1x2x3x7"))]
PUSHES = [0.5, -1.25, 2.0, 0.125, 3.5, -0.75, 1.0, 0.0, 0.25, -2.5, 1.5, 0.375]


@pytest.fixture(scope="module")
def gpu_page(gpu_browser: Browser, site_url: str) -> Iterator[GpuPage]:
    context = gpu_browser.new_context()
    page = GpuPage(context.new_page(), site_url)
    yield page
    context.close()


@pytest.fixture
def fresh(gpu_page: GpuPage) -> Iterator[GpuPage]:
    """The page with no device open and no fault; afterwards nothing may have gone wrong that nobody caught."""
    gpu_page.spoil()
    yield gpu_page
    gpu_page.spoil()
    gpu_page.check()


@pytest.fixture(scope="module")
def remote(gpu_page: GpuPage) -> RemoteBackend:
    """The backend in the worker, for the case table."""
    gpu_page.spoil()
    gpu_page.ask("opened")
    return RemoteBackend(gpu_page)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, remote: RemoteBackend) -> None:
    check_forward(case, remote, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, remote: RemoteBackend) -> None:
    check_gradients(case, remote, BACKWARD)


@pytest.mark.parametrize("case", TILED, ids=lambda c: c.id)
def test_forward_tiled(case: Case, remote: RemoteBackend) -> None:
    """The kernels that go through workgroup memory, whichever this adapter would choose."""
    check_forward(case, RemoteBackend(remote.page, chosen={case.op: "tiled"}), FORWARD)


def test_chromiums_compiler_takes_every_kernel(fresh: GpuPage) -> None:
    """Every file of WGSL, specialised for some plan, is compiled by Tint."""
    fresh.spoil(("compiles", {}))
    fresh.ask("opened")
    plans = [(plan.to_json(), variants) for plan, variants in plans_of_every_kernel()]
    assert set(fresh.ask("compiled", plans=plans)["compiled"]) == set(all_kernels())
    assert fresh.ask("state")["memory"] == [0, 0]


@pytest.mark.parametrize("name", ["digits", "cnn-small", "ann"])
def test_every_number_is_the_sum_of_the_terms_shown(name: str, remote: RemoteBackend, mnist_dir: Path) -> None:
    model = explained.shipped(name)
    explained.check([Lens(model, explained.computed(model, explained.images()[0], remote))], explained.CELLS)


def test_the_table_leaves_nothing_behind(remote: RemoteBackend) -> None:
    remote.page.check()
    assert remote.page.ask("state")["memory"] == [0, 0]


def expected(pushes: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The recurrence of `gpu_inside.py` by NumPy, in float64."""
    state, rows = np.zeros(CELLS), []
    for push in pushes:
        state = (state * 0.75 + push * np.sin(np.arange(CELLS) + push)) / 1.25
        rows.append(state[:4])
    return state, np.concatenate(rows)


def test_the_adapter_is_named_and_kernels_compiled_are_counted(fresh: GpuPage, report: Callable[[str], None]) -> None:
    adapter = fresh.ask("opened")
    assert adapter["name"]
    assert isinstance(adapter["software"], bool)
    assert min(adapter["limits"]) >= 128 << 20
    report(f"WebGPU: {adapter['name']}{', in software' if adapter['software'] else ''}; limits {adapter['limits']}")
    assert fresh.ask("made")["told"] == [[1, 2], [2, 2]]


def test_a_shader_is_compiled_once_a_device(fresh: GpuPage) -> None:
    fresh.spoil(("creates", {}))
    fresh.ask("opened")
    for compiled in (2, 0):  # on the device, and from then on
        for created in fresh.ask("made_again", times=1 + (not compiled))["created"]:
            assert created["createShaderModule"] == created["createComputePipelineAsync"] == compiled
            assert created["createPipelineLayout"] == created["createBindGroupLayout"] == compiled  # of two kinds
            assert created["createComputePipeline"] == 0
            assert created["createBindGroup"] == 2


def test_a_run_of_many_steps_gives_the_bits_of_many_runs(fresh: GpuPage) -> None:
    fresh.ask("opened")
    fresh.ask("made")
    state, rows = expected(PUSHES)
    bits = set()
    for runs in (len(PUSHES), 4, 1):
        found = fresh.ask("stepped", pushes=PUSHES, runs=runs)
        assert found["crossings"] == runs  # one each
        np.testing.assert_allclose(unpacked(found["state"]), state, atol=1e-3)
        np.testing.assert_allclose(unpacked(found["records"]), rows, atol=1e-3)
        bits.add((found["state"]["data"], found["records"]["data"]))
    assert len(bits) == 1


def test_a_run_is_one_submit_and_allocates_nothing(fresh: GpuPage) -> None:
    fresh.spoil(("count", {}))
    fresh.ask("opened")
    fresh.ask("made")
    fresh.ask("stepped", pushes=PUSHES, runs=3)
    before = fresh.ask("state")
    for _ in range(3):
        fresh.ask("stepped", pushes=PUSHES * 20, runs=60)
    after = fresh.ask("state")
    counted = {name: after["counts"][name] - before["counts"][name] for name in after["counts"]}
    assert counted == {"submits": 3 * (60 + 1), "dispatches": 3 * 240 * 2, "maps": 3 * (60 + 1)}
    assert after["memory"] == before["memory"]
    # state, control tensor, 64 rows of control, three times 64 rows of records, what is read through
    assert after["memory"] == [7, 4 * CELLS + 256 + 64 * 4 + 3 * 64 * 16 + 4 * CELLS]


def test_a_thousand_steps_of_a_training_make_nothing(fresh: GpuPage) -> None:
    """After an epoch has been seen, with its checks: an encoder a submit, which WebGPU has no way around, and nothing
    else; the same buffers of as many bytes are held, and none at the end."""
    fresh.spoil(("count", {}), ("creates", {}))
    fresh.ask("opened")
    found = fresh.ask("lasting", epochs=40)
    first, last = found["marks"][0], found["marks"][-1]
    assert last["steps"] - first["steps"] >= 1000
    assert last["checks"] - first["checks"] >= 20 + 39
    made = {name: last["created"][name] - count for name, count in first["created"].items()}
    submits = last["counts"]["submits"] - first["counts"]["submits"]
    assert {name: count for name, count in made.items() if count} == {"createCommandEncoder": submits}
    assert {tuple(mark["memory"]) for mark in found["marks"]} == {tuple(first["memory"])}
    assert found["left"] == []
    assert found["memory"] == [0, 0]


def test_a_prediction_is_one_submit_and_follows_the_parameters(fresh: GpuPage) -> None:
    fresh.spoil(("count", {}))
    fresh.ask("opened")
    found = fresh.ask("predicted", nudges=[0, 0, 0.25, 0, -0.125])
    assert [turn["submits"] for turn in found] == [2, 1, 2, 1, 2]  # with a prologue where the parameters have changed
    logits = [[unpacked(side) for side in turn["logits"]] for turn in found]
    for turn, (expected, mine) in zip(found, logits, strict=True):
        assert not turn["left"]
        np.testing.assert_allclose(mine, expected, atol=FORWARD * np.abs(expected).max())
    assert np.abs(logits[2][0] - logits[1][0]).max() > 0.1
    assert np.abs(logits[4][0] - logits[3][0]).max() > 0.1
    assert fresh.ask("state")["memory"] == [0, 0]


def test_records_that_nobody_reads_are_dropped_oldest_first(fresh: GpuPage) -> None:
    fresh.ask("opened")
    fresh.ask("made")
    found = fresh.ask("unread", runs=8)
    assert found == {"left": 3, "reason": "no run of this program has records that were not read"}
    assert fresh.ask("state")["lost"] == ""


def test_records_that_are_being_read_are_not_overwritten(fresh: GpuPage) -> None:
    fresh.ask("opened")
    fresh.ask("made")
    found = unpacked(fresh.ask("overtaken", runs=9)["records"])
    np.testing.assert_allclose(found, expected([1.0] * 9)[1], atol=1e-3)


def test_reads_at_the_same_time_and_a_program_closed_meanwhile(fresh: GpuPage) -> None:
    fresh.ask("opened")
    fresh.ask("made")
    found = fresh.ask("at_once")
    reads = [np.concatenate([unpacked(part) for part in parts]) for parts in found["reads"]]
    assert [read.tolist() for read in reads] == [[0, 1, 2, 3], [252, 253, 254, 255, 1], list(range(128, 144))]
    assert all(end in ("", "the program was closed while it was being read") for end in found["ends"])
    assert fresh.ask("state")["memory"] == [0, 0]
    assert fresh.ask("state")["lost"] == ""


def test_a_cancelled_loading_leaves_nothing_behind(fresh: GpuPage) -> None:
    fresh.ask("opened")
    assert fresh.ask("cancelled")["memory"] == [0, 0]


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("absent", {}, "this browser has no navigator.gpu"),
        ("no-adapter", {}, r"requestAdapter\(\) gave no adapter"),
        ("no-device", {"reason": "too many devices"}, r"requestDevice\(\) failed: too many devices"),
        ("silent-device", {}, r"requestDevice\(\) has not answered for 0.4 s"),
    ],
)
def test_no_device_to_be_had(fresh: GpuPage, fault: str, options: dict[str, Any], reason: str) -> None:
    fresh.spoil((fault, options))
    assert re.fullmatch(reason, fresh.ask("opened", patience=0.4)["reason"])


def test_a_kernel_that_does_not_compile_is_named(fresh: GpuPage) -> None:
    fresh.spoil(("shader", {"kernel": "shrink"}))
    fresh.ask("opened")
    assert re.match(r"the kernel shrink does not compile: \d+:\d+ .+", fresh.ask("made")["reason"])
    assert fresh.ask("state")["memory"] == [0, 0]
    fresh.spoil()
    assert "reason" not in fresh.ask("made")  # the device is as good as before


@pytest.mark.parametrize("call", ["made", "shared"])
def test_no_memory_for_a_program(fresh: GpuPage, call: str) -> None:
    fresh.spoil(("memory", {"bytes": 1024}))
    fresh.ask("opened")
    reason = fresh.ask(call, **({"size": 4096} if call == "shared" else {}))["reason"]
    assert re.match(r"no 0\.0 MB of memory on the GPU \(out-of-memory error: not enough memory", reason)
    assert fresh.ask("state")["memory"] == [0, 0]


def test_more_than_a_buffer_may_hold(fresh: GpuPage) -> None:
    largest = max(fresh.ask("opened")["limits"])
    reason = fresh.ask("made", cells=(largest // 256 + 1) * 64)["reason"]
    assert re.match(r"no \d+\.\d MB of memory on the GPU \(", reason)
    assert fresh.ask("state")["lost"] == ""


def lost(page: GpuPage, *faults: tuple[str, dict[str, Any]], patience: float = 30.0) -> str:
    """What a training says that meets these faults on its way, after a good beginning."""
    page.spoil(*faults)
    page.ask("opened", patience=patience)
    page.ask("made")
    found = page.ask("stepped", pushes=PUSHES, runs=12)
    reason = page.ask("state")["lost"]
    assert found["reason"] == reason
    after = page.ask("everything_after_a_loss")
    assert after == {"reasons": [reason] * 3, "lost": reason, "memory": [0, 0], "kept": 0}
    return reason


@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_a_device_lost_at_a_step(fresh: GpuPage, after: int) -> None:
    assert lost(fresh, ("lost", {"after": after})).startswith("the GPU was lost: ")


@pytest.mark.parametrize(("fault", "after"), [("silent-map", 0), ("silent-map", 5), ("silent-queue", 3)])
def test_a_gpu_that_falls_silent(fresh: GpuPage, fault: str, after: int) -> None:
    reason = lost(fresh, (fault, {"after": after}), patience=0.4)
    assert reason == "the GPU was lost: it has not answered for 0.4 s"


def test_time_that_python_computes_is_no_silence_of_the_gpu(fresh: GpuPage) -> None:
    fresh.ask("opened", patience=0.4)
    fresh.ask("made")
    assert fresh.ask("busy", seconds=1.5) == {"lost": "", "bytes": 16}


def test_a_read_that_fails(fresh: GpuPage) -> None:
    reason = lost(fresh, ("failed-map", {"after": 2}))
    assert reason == "the GPU was lost: reading failed: the map was aborted"


def test_memory_that_runs_out_while_running(fresh: GpuPage) -> None:
    # the eighth buffer is the one that is read through, made at the first read
    reason = lost(fresh, ("memory", {"after": 6}))
    assert reason == "the GPU was lost: it reported an error: not enough memory for this buffer"


# What is wrong with a device on which a training of two epochs, of 26 steps each, is begun; and the reason given.
# Reads are counted: those before and at the first check are right.
ZEROS = {"kernel": "dense_dw", "find": r"let d([01]) = vec4f\(.*\);", "put": "let d$1 = vec4f();"}
FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "lost": ("lost", {"after": 12}, "the GPU was lost"),
    "gradients-zero": ("miscompiled", ZEROS, "the gradient of .* differs from NumPy's"),
    "nan": ("values", {"how": "nan", "after": 10}, "not finite"),
    "perturbed": ("values", {"how": "perturbed", "by": 0.03, "after": 10}, "with NumPy|differs from NumPy's"),
    "silent": ("silent-map", {"after": 10}, "it has not answered for 3 s"),
    "memory": ("memory", {"bytes": 2048}, r"no 0\.\d MB of memory on the GPU"),
    "shader": ("shader", {"kernel": "adam"}, "the kernel adam does not compile"),
    "limit": ("limit", {"bytes": 2048}, r"'\w+' of [\d,]+ bytes is larger than this adapter's limit of 2,048"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_survives(fault: str, fresh: GpuPage) -> None:
    """It goes on with the compiled kernels from where it was last right; what it learns is what NumPy learns."""
    kind, options, reason = FAULTS[fault]
    fresh.spoil((kind, options))
    found = fresh.ask("taught", epochs=2, patience=3.0 if fault == "silent" else 30.0)
    (left,) = found["left"]
    assert re.match(f"webgpu: .*({reason})", left), left
    assert found["backend"] == "native"
    np.testing.assert_allclose(found["losses"], found["expected"], rtol=2e-3)
    assert found["memory"] == [0, 0]


@pytest.mark.parametrize("how", ["zero", "nan", "perturbed"])
def test_wrong_values_can_be_had_for_tests_of_who_checks_them(fresh: GpuPage, how: str) -> None:
    fresh.ask("opened")
    fresh.ask("made")
    right = unpacked(fresh.ask("stepped", pushes=PUSHES, runs=1)["state"])
    fresh.spoil(("values", {"how": how}))
    wrong = unpacked(fresh.ask("stepped", pushes=PUSHES, runs=1)["state"])
    factor = {"zero": 0, "nan": np.nan, "perturbed": np.where(np.arange(CELLS) % 2, 0.99, 1.01)}[how]
    np.testing.assert_allclose(wrong, right * factor, rtol=1e-6)
