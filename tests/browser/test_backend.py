"""The page with and without compiled kernels and a GPU: one line says what it uses and why, and every failure ends in
the next backend's answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from gpu_page import LOADER, spoil_engine
from playwright.sync_api import Route

KERNELS = r"Compiled SIMD: verified, max error \de-\d\d, [\d.,]+ GFLOP/s, inference [\d.,]+x NumPy\. "
VERIFIED = KERNELS + r"WebGPU: verified, max error \de-\d\d, inference [\d.,]+x Compiled SIMD"
NOT_ADAPTER = "WebGPU is not used: requestAdapter() gave no adapter."

# Runs in the worker before Python: the side modules, and nothing else, do not compile.
BREAK = """
WebAssembly.Module = new Proxy(WebAssembly.Module, {
  construct(whole, [bytes]) {
    if (new TextDecoder("latin1").decode(bytes).includes("hl_run_part")) throw new WebAssembly.CompileError("cut off");
    return new whole(bytes);
  },
});
"""


# Keeps what the panel says of a teaching.
STAGES = """() => {
  const line = document.querySelector("[data-testid=hand-stage]");
  window.stages = [];
  new MutationObserver(() => stages.push(line.textContent)).observe(line, { childList: true });
}"""
MOST = 12  # judgements of a model, at most


def break_kernels(desk: Any) -> None:
    """From now on no engine of this page can open the compiled kernels."""

    def handle(route: Route) -> None:
        own = route.fetch()
        route.fulfill(response=own, body=BREAK + own.text())

    desk.page.route(LOADER, handle)


def judged(desk: Any) -> str:
    """The line at the foot of the page, once the judgement stands there."""
    desk.page.wait_for_function(
        "/WebGPU: verified|WebGPU is not used/.test(document.getElementById('backend-line').textContent)",
        timeout=60_000,
    )
    return str(desk.get("backend-line").inner_text())


def backend(desk: Any) -> str:
    return str(desk.page.get_attribute("html", "data-backend"))


def seven(desk: Any) -> None:
    """Draw a 7 on an empty pad; it is read as one whatever happens beneath."""
    desk.page.evaluate("pad.clear()")
    desk.seven()
    assert desk.settled() == "7"
    desk.rested()


def test_the_kernels_are_named_with_their_speed(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open()
    desk.page.wait_for_selector("html[data-backend=native]")
    line = str(desk.get("backend-line").inner_text())
    assert re.fullmatch(KERNELS.removesuffix(" "), line), line  # no GPU is judged before the first answer
    seven(desk)
    line = judged(desk)
    assert re.fullmatch(KERNELS + re.escape(NOT_ADAPTER), line), line
    assert desk.get("backend-note").is_hidden()  # nobody has asked for a GPU
    assert backend(desk) == "native"
    assert desk.page.locator("#engine-text").inner_text().startswith("Compiled SIMD")


def test_numpy_answers_where_it_is_asked_for(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open("?backend=numpy")
    seven(desk)
    desk.page.wait_for_timeout(500)
    assert backend(desk) == "numpy"
    assert desk.get("backend-line").inner_text() == ""


def test_kernels_that_do_not_load_leave_numpy(new_desk: Callable[..., Any]) -> None:
    """The page goes on with NumPy, and says why."""
    desk = new_desk()
    break_kernels(desk)
    desk.open("?backend=native")
    seven(desk)
    assert backend(desk) == "numpy"
    line = str(desk.get("backend-line").inner_text())
    assert line.startswith("Compiled SIMD is not used: "), line
    note = desk.get("backend-note").inner_text()
    assert re.fullmatch(r"Compiled SIMD is not used: .+ Using NumPy, nothing is lost\.", note), note


def test_asked_for_without_an_adapter(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open("?backend=webgpu")
    seven(desk)
    assert judged(desk).endswith(NOT_ADAPTER)
    assert desk.get("backend-note").inner_text() == f"{NOT_ADAPTER} Using Compiled SIMD, nothing is lost."
    assert backend(desk) == "native"
    seven(desk)


def test_asked_for_with_an_adapter_it_answers_as_the_kernels_do(new_desk: Callable[..., Any]) -> None:
    desk = new_desk(gpu=True)
    desk.open("?backend=webgpu")
    seven(desk)
    shares = desk.shares()
    desk.page.wait_for_function("/warming up \\d+\\/\\d+/.test(document.getElementById('backend-line').textContent)")
    assert re.fullmatch(VERIFIED + r"(; used because it was asked for)?\.", judged(desk))
    desk.page.wait_for_selector("html[data-backend=webgpu]")
    seven(desk)
    assert desk.shares() == pytest.approx(shares, abs=0.2)
    assert desk.page.locator("#engine-text").inner_text().startswith("WebGPU")
    rows = desk.page.locator("#models tbody tr").count()
    assert rows >= 5  # the other models answer on it too
    desk.page.get_by_test_id("model-linear").locator("button, a, label").first.click()
    desk.page.wait_for_function("document.getElementById('origin').textContent.startsWith('linear on WebGPU')")
    assert desk.settled()


def test_judged_by_measuring_alone(new_desk: Callable[..., Any]) -> None:
    """Not asked for, it is used only if it was right and faster within half a second; either way one line says so. With
    a slow compiler it is compared in the end: the judgement after the next drawing goes on from what is compiled."""
    desk = new_desk(gpu=True)
    spoil_engine(desk.page, "slow", ms=20)
    desk.open()
    said = []
    for _ in range(MOST):
        desk.page.evaluate("document.getElementById('backend-line').textContent = ''")
        seven(desk)
        said.append(judged(desk))
        if "goes on from there" not in said[-1]:
            break
        desk.page.wait_for_timeout(1000)  # a visitor does not draw without a pause; the compiler goes on meanwhile
    assert "preparing its kernels took longer than the 0.5 s that are given to it; the next judgement" in said[0], said
    assert re.search(r"WebGPU: verified, max error \de-\d\d, inference [\d.,]+x ", said[-1]), said
    desk.page.wait_for_timeout(500)
    assert backend(desk) == ("native" if said[-1].endswith(": not used.") else "webgpu")
    seven(desk)


# Each start of the page takes seconds; faults on the same way are met by tests/parity/test_choose.py without one.
FAULTS = [
    ("absent", {}, "no navigator.gpu"),
    ("no-device", {}, "the device is busy"),
    ("shader", {"kernel": "dense"}, "dense does not compile"),
    ("memory", {"after": 3}, "memory"),
    ("values", {"how": "nan"}, "not finite|differ from NumPy's"),
    ("values", {"how": "perturbed", "by": 0.01}, "differ from NumPy's"),
]


@pytest.mark.parametrize(("fault", "options", "words"), FAULTS, ids=lambda value: str(value) if value else "-")
def test_a_fault_at_the_start(new_desk: Callable[..., Any], fault: str, options: dict[str, Any], words: str) -> None:
    desk = new_desk(gpu=True)
    spoil_engine(desk.page, fault, **options)
    desk.open("?backend=webgpu")
    seven(desk)
    assert re.search(words, judged(desk)), judged(desk)
    # the answer of the start may be NumPy's still, until the kernels' own judgement is in
    desk.page.wait_for_function("document.documentElement.dataset.backend === 'native'", timeout=30_000)
    seven(desk)
    assert backend(desk) == "native"


@pytest.mark.parametrize(
    ("fault", "options"),
    [("lost", {"after": 45}), ("values", {"how": "nan", "after": 18}), ("silent-map", {"after": 18})],
    ids=["lost", "nan", "silent"],
)
def test_a_fault_while_it_answers(new_desk: Callable[..., Any], fault: str, options: dict[str, Any]) -> None:
    """The digit being read is read by the kernels, the next ones too; the page names the reason."""
    desk = new_desk(gpu=True)
    spoil_engine(desk.page, fault, **options)
    desk.open("?backend=webgpu")
    seven(desk)
    assert re.match(VERIFIED, judged(desk))
    for _ in range(12):
        seven(desk)
        if backend(desk) == "native":
            break
    assert backend(desk) == "native"
    note = desk.get("backend-note").inner_text()
    assert re.fullmatch(r"[A-Z].+\. Compiled SIMD goes on, nothing is lost\.", note), note
    assert desk.get("backend-line").inner_text().startswith("WebGPU is no longer used: ")
    seven(desk)


def test_a_training_is_judged_when_it_is_first_asked_for(new_desk: Callable[..., Any]) -> None:
    """Teaching trains on what was right and faster at that very training, whatever reads the digits; while the kernels
    for it are compiled, the panel says how many are."""
    desk = new_desk(gpu=True)
    spoil_engine(desk.page, "slow", ms=20)
    desk.open("?backend=webgpu#draw?model=linear")  # whose features are the pixels
    seven(desk)
    # one product of 784 x 10 takes the kernels as long as NumPy, the call around it most of it: either may win
    assert "WebGPU: verified, max error " in judged(desk), judged(desk)
    assert "training" not in judged(desk)
    desk.page.keyboard.press("m")
    desk.page.keyboard.press("1")
    desk.page.evaluate(STAGES)
    desk.get("meant-teach").click()
    desk.page.wait_for_function(
        "document.querySelector('[data-testid=hand-note]').textContent.includes('has learnt')", timeout=120_000
    )
    assert re.search(r"WebGPU: verified, max error \de-\d\d, training [\d.,]+x (Compiled SIMD|NumPy)", judged(desk)), (
        judged(desk)
    )
    assert "left" not in judged(desk)
    stages = desk.page.evaluate("stages")
    assert any(re.fullmatch(r"WebGPU: warming up \d+/\d+", stage) for stage in stages), stages
    assert re.fullmatch(r"(Teaching|Measuring after): \d+ %", stages[-1]), stages
    assert desk.settled() in ("1", "7", "?")
