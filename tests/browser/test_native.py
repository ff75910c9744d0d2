"""The side modules in Chromium, from a Pyodide worker with the wheel: the case table, a training, what a run costs,
which one is chosen, and what happens where none can be loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import explained
import numpy as np
import pytest
from gpu_page import HERE, GpuPage, RemoteBackend
from handlens import architectures
from handlens.backends.native.library import PROBE
from handlens.data import mnist
from handlens.inside.explain import Lens
from handlens.ops import TABLE
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import check_forward, check_gradients
from playwright.sync_api import Browser
from training_curve import BAND, trained
from worker_arrays import packed, unpacked

FORWARD, BACKWARD = 1e-5, 1e-4
CROSSINGS = 2  # calls into the module that a run may take
RELAXED, PLAIN = "handlens-side-relaxed.wasm", "handlens-side.wasm"


@pytest.fixture(scope="module")
def page(browser: Browser, site_url: str) -> Iterator[GpuPage]:
    context = browser.new_context()
    found = GpuPage(context.new_page(), site_url, HERE / "native_inside.py")
    yield found
    found.check()
    context.close()


@pytest.fixture(scope="module", params=[RELAXED, PLAIN])
def remote(request: pytest.FixtureRequest, page: GpuPage) -> RemoteBackend:
    """The backend in the worker, on one of the two builds."""
    found = page.ask("opened", file=request.param)
    assert found["title"] == ("WebAssembly relaxed SIMD" if request.param == RELAXED else "WebAssembly SIMD")
    assert found["lanes"] == 4
    assert {name for name, op in TABLE.items() if not op.view} <= set(found["ops"])
    return RemoteBackend(page, "native")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, remote: RemoteBackend) -> None:
    check_forward(case, remote, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, remote: RemoteBackend) -> None:
    check_gradients(case, remote, BACKWARD)


@pytest.mark.parametrize("name", ["digits", "cnn-small", "ann"])
def test_every_number_is_the_sum_of_the_terms_shown(name: str, remote: RemoteBackend, mnist_dir: Path) -> None:
    model = explained.shipped(name)
    explained.check([Lens(model, explained.computed(model, explained.images()[0], remote))], explained.CELLS)


@pytest.fixture(scope="module")
def digits(mnist_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of MNIST, 8 bits: 200 batches of 32."""
    images = mnist.read_idx(mnist_dir / "train-images-idx3-ubyte")[:6400]
    return images, mnist.read_idx(mnist_dir / "train-labels-idx1-ubyte")[:6400]


@pytest.fixture(scope="module")
def expected(digits: Any) -> tuple[np.ndarray, np.ndarray]:
    """NumPy's curve on this host, and what the network then reads."""
    model = architectures.build("cnn-small")
    model.use("numpy")
    curve, _ = trained(model, *digits)
    return curve.smooth(), np.asarray(model.predict(digits[0][:512])).argmax(1)


def test_the_training_curve_is_numpys(
    remote: RemoteBackend, digits: Any, expected: tuple[np.ndarray, np.ndarray], report: Callable[[str], None]
) -> None:
    found = remote.page.ask("learned", images=packed(digits[0]), labels=packed(digits[1]))
    assert found["steps"] == 200
    assert found["left"] == []
    assert found["crossings"] <= CROSSINGS * 200
    smooth = unpacked(found["smooth"])
    np.testing.assert_allclose(smooth, expected[0], rtol=BAND, atol=BAND / 5)
    assert (unpacked(found["answers"]) == expected[1]).mean() > 0.97
    away = np.abs(smooth / expected[0] - 1).max()
    report(f"200 steps on compiled kernels: the loss within {away:.1e} of NumPy's, {found['crossings']} calls")


def test_a_run_is_at_most_two_calls(remote: RemoteBackend, digits: Any) -> None:
    found = remote.page.ask("crossed", images=packed(digits[0][:64]), labels=packed(digits[1][:64]))
    assert found["steps"] == 1
    assert 1 <= found["later"] <= found["first"] <= CROSSINGS


def test_relaxed_simd_is_chosen_where_the_browser_takes_it(page: GpuPage) -> None:
    takes = page.page.evaluate("(bytes) => WebAssembly.validate(new Uint8Array(bytes))", list(PROBE))
    found = page.ask("chosen")
    assert found["validated"] is takes
    assert found["here"] == ([RELAXED, PLAIN] if takes else [PLAIN])
    assert found["opened"] == found["here"][0]
    assert found["without"] == [PLAIN]
    assert found["opened without"] == PLAIN


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_modules_that_are_cut_off_end_in_numpy_with_the_reason(page: GpuPage, share: float) -> None:
    found = page.ask("spoilt", share=share)
    assert found["backend"] == "numpy"
    assert found["shape"] == [1, 10]
    assert f"{PLAIN} does not load: " in found["why"]
    assert found["why"] in found["refused"]
    page.check()
