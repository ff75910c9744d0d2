"""Both kinds of wheel load in Pyodide from our own lock file, and compute there what CPython computes."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import handlens
import numpy as np
import pytest
import step_serve
import step_wheel
from playwright.sync_api import sync_playwright

PAGE = """<!doctype html><title>wheel</title><script type="module">
import { loadPyodide } from "./pyodide.mjs";
try {
  const python = await loadPyodide();
  await python.loadPackage("handlens");
  window.load = (code) => {
    const answer = python.runPython(code);
    return answer.toJs ? answer.toJs() : answer;
  };
  window.state = "ready";
} catch (error) { window.state = String(error); }
</script>"""

LOADED = "import handlens; handlens.__version__ + ' ' + handlens.__file__"
PREDICT = """
import base64, numpy, handlens
model = handlens.load(base64.b64decode("{weights}"))
images = numpy.random.default_rng(5).random((4, 1, 28, 28), dtype=numpy.float32)
model.predict(images).ravel().tolist()
"""

WAYS = [
    "pure",
    pytest.param(
        "compiled",
        marks=pytest.mark.skipif(not step_wheel.can_compile(), reason="bytecode for Pyodide needs Python 3.12"),
    ),
]


@pytest.mark.browser
@pytest.mark.parametrize("way", WAYS)
def test_wheel_loads_and_agrees_with_cpython(
    way: str, tmp_path: Path, site_dir: Path, chromium_path: str, root: Path
) -> None:
    wheel = step_wheel.build(tmp_path, compiled=way == "compiled")
    for path in (site_dir / "vendor/pyodide").iterdir():
        if path.name.startswith(("pyodide.", "python_stdlib", "numpy")):
            os.symlink(path, tmp_path / path.name)
    (tmp_path / "index.html").write_text(PAGE)
    weights = min((root / "web/models").glob("*.safetensors"), key=lambda path: path.stat().st_size)
    code = PREDICT.format(weights=base64.b64encode(weights.read_bytes()).decode())
    with step_serve.running(tmp_path) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = browser.new_page()
        foreign: list[str] = []
        page.on("request", lambda request: None if request.url.startswith(address) else foreign.append(request.url))
        page.goto(address)
        page.wait_for_function("window.state", timeout=120_000)
        assert page.evaluate("window.state") == "ready"
        version, place = page.evaluate("(code) => window.load(code)", LOADED).split()
        numbers = page.evaluate("(code) => window.load(code)", code)
        browser.close()
    assert version == wheel.name.split("-")[1]
    assert place.endswith(".pyc" if way == "compiled" else ".py")
    assert [url for url in foreign if not url.endswith("/favicon.ico")] == []
    images = np.random.default_rng(5).random((4, 1, 28, 28), dtype=np.float32)
    there = np.array(numbers, dtype=np.float32).reshape(4, 10)
    np.testing.assert_allclose(there, handlens.load(weights).predict(images), atol=1e-4)
