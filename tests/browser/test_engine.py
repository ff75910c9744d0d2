"""The engine's life: it arrives while one draws, it may fail to come, it may stop; the drawing stays."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]
WASM = "**/pyodide.asm.wasm"


def test_one_can_draw_while_python_is_on_its_way(new_desk: Callable[..., Any]) -> None:
    desk = new_desk()
    held: list[Any] = []
    desk.page.route(WASM, lambda route: held.append(route))
    desk.open(ready=False)
    assert desk.page.get_attribute("html", "data-engine") == "loading"
    # MicroPython is there, and says in words and bytes how far Python is
    desk.page.wait_for_function("document.getElementById('answer-note').textContent.includes('MB')", timeout=60_000)
    words = r"Python is on its way: \d+\.\d of \d+\.\d MB\. You can draw already\."
    desk.page.wait_for_function(f"/^{words}$/.test(document.getElementById('answer-note').textContent)")
    assert re.fullmatch(words, desk.note())
    assert desk.answer() == "?"
    desk.stroke(SEVEN)
    assert len(desk.flat()) > 8
    assert desk.settled() == "7"  # by the kernels on this thread: see test_first.py
    assert desk.page.get_attribute("html", "data-engine") == "loading"
    while not held:
        desk.page.wait_for_timeout(50)
    held[0].continue_()
    desk.ready()
    assert desk.settled() == "7"  # answered without another touch
    loaded = desk.page.evaluate("[engineReport.bytes, engineReport.total]")
    assert loaded[0] >= loaded[1] > 10e6  # every byte was counted, against what build.json announced
    fetched = [url.rsplit("/", 1)[-1] for url in desk.watch.requests]
    assert fetched.count("pyodide.asm.wasm") == 1
    assert desk.page.get_attribute("html", "data-backend") == "native"


TURNS = """
window.turns = 0;
Object.defineProperty(window, "early", { configurable: true, set(early) {
  Object.defineProperty(window, "early", { value: early });
  const turn = early.turn;
  early.turn = () => { window.turns += 1; return turn(); };
} });
"""


def test_pyscript_starts_a_piece_a_turn(new_desk: Callable[..., Any]) -> None:
    """`warm` of engine-start.js: what it takes apart is there in this PyScript, and each piece is Python by itself."""
    desk = new_desk()
    desk.page.add_init_script(TURNS)
    desk.open()
    core = "import('./vendor/pyscript/core.js')"
    library, hooked = desk.page.evaluate(
        f"{core}.then(({{ hooks, stdlib }}) => [stdlib, [...hooks.main.onReady].map(String)])"
    )
    before, imported, _ = library.partition("\nimport pyscript as ")
    assert imported and len([hook for hook in hooked if "warm(" in hook]) == 1
    pieces = re.split(r"\n(?=\S)", before)
    assert len(pieces) > 20 and all(ast.parse(piece) for piece in pieces)
    assert desk.page.evaluate("turns") > len(pieces) + 20  # one each, and one a module of the page


def test_an_image_chosen_while_python_is_on_its_way_is_read_when_it_is_here(
    new_desk: Callable[..., Any], mnist_test: Any
) -> None:
    images, labels = mnist_test
    out = io.BytesIO()
    Image.fromarray(images[0]).resize((280, 280)).save(out, "PNG")
    desk = new_desk()
    held: list[Any] = []
    desk.page.route(WASM, lambda route: held.append(route))
    desk.open(ready=False)
    desk.page.wait_for_selector("[data-testid=file]", state="attached", timeout=60_000)
    desk.get("file").set_input_files({"name": "digit.png", "mimeType": "image/png", "buffer": out.getvalue()})
    desk.page.wait_for_function("document.getElementById('notice').textContent.includes('as soon as Python is here')")
    while not held:
        desk.page.wait_for_timeout(50)
    held[0].continue_()
    desk.page.wait_for_function("pad.kind() === 'picture'", timeout=120_000)
    assert desk.settled() == str(labels[0])
    assert desk.get("notice").is_hidden()


@pytest.mark.parametrize("file", ["pyodide.asm.wasm", "handlens-*.whl"])
def test_a_file_that_does_not_arrive(new_desk: Callable[..., Any], file: str) -> None:
    desk = new_desk()
    desk.watch.allowed = ("ERR_FAILED", "Failed to fetch", "handlens", "pyodide", "wasm")
    pattern = f"**/{file}"
    desk.page.route(pattern, lambda route: route.abort())
    desk.open(ready=False)
    desk.stroke(SEVEN)
    drawn = desk.flat()
    desk.page.wait_for_selector("html[data-engine=failed]", timeout=120_000)
    stem = file.split("*")[0]
    assert desk.note().startswith(f"The engine stopped: {stem}")
    assert desk.note().endswith("Your drawing is kept.")
    assert desk.flat() == drawn
    desk.page.unroute(pattern)
    desk.get("again").click()
    desk.ready()
    assert desk.settled() == "7"
    assert desk.flat() == drawn


def test_a_worker_that_dies_is_noticed_and_can_be_replaced(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open()
    desk.stroke(SEVEN)
    assert desk.settled() == "7"
    desk.page.evaluate("document.querySelector('script[type=py]').xworker.terminate()")
    desk.stroke([(5, 24), (6, 24)])
    drawn = desk.flat()
    desk.page.wait_for_selector("html[data-engine=failed]", timeout=60_000)
    assert "has not answered" in desk.note()
    desk.stroke([(5, 26), (6, 26)])  # the pad does not care
    desk.get("undo").click()
    assert desk.flat() == drawn
    desk.get("again").click()
    desk.ready()
    desk.settled()
    assert desk.flat() == drawn
    desk.get("undo").click()
    assert desk.settled() == "7"


def test_weights_that_do_not_load_and_a_browser_that_stores_nothing(new_desk: Callable[..., Any]) -> None:
    desk = new_desk()
    desk.watch.allowed = ("404", "linear")
    refuse = "Object.defineProperty(window, '%s', {get() { throw new DOMException('refused', 'SecurityError'); }});"
    desk.page.add_init_script(refuse % "localStorage" + refuse % "sessionStorage")  # a browser that stores nothing
    desk.page.route("**/models/linear.safetensors", lambda route: route.fulfill(status=404, body="gone"))
    desk.open()
    desk.stroke(SEVEN)
    desk.rested()
    row = desk.get("model-linear")
    row.get_by_text("not loaded").wait_for(timeout=60_000)
    assert desk.answer() == "7"
    assert desk.page.get_attribute("html", "data-engine") == "ready"
    desk.get("theme").click()
    assert desk.page.get_attribute("html", "data-theme") == "dark"
    desk.get("help").click()
    desk.page.locator("dialog[open]").get_by_role("checkbox").uncheck()


def test_models_side_by_side(desk: Any) -> None:
    desk.stroke(SEVEN)
    desk.rested()
    listed = desk.page.evaluate("fetch('models/index.json').then((r) => r.json())")
    listed = listed if isinstance(listed, list) else listed["models"]
    for model in listed:
        row = desk.get(f"model-{model['name']}")
        row.locator("td.c-reads", has_text=re.compile(r"^\d$")).wait_for(timeout=60_000)
        assert re.fullmatch(r"\d+\.\d %", row.locator("td.c-share").inner_text())
        assert re.fullmatch(r"(<0\.1|\d+(\.\d)?) ms", row.locator("td.c-time").inner_text())
        assert re.sub(r"\D", "", row.locator("td.c-parameters").inner_text()) == str(model["parameters"])
    chosen = desk.page.locator("#models tr:has(input:checked)")
    assert chosen.locator("td.c-reads").inner_text() == str(desk.digit())
    assert f"{chosen.locator('label span').inner_text()}" != ""
    # another model answers, and Back returns to the first
    first = desk.page.locator("#models input:checked").get_attribute("value")
    other = next(model["name"] for model in listed if model["name"] != first)
    desk.get(f"model-{other}").get_by_role("radio").check()
    desk.page.wait_for_function(f"document.getElementById('origin').textContent.startsWith('{other} on ')")
    assert desk.shares()[desk.digit()] > 0
    desk.page.go_back()
    desk.page.wait_for_function(f"document.getElementById('origin').textContent.startsWith('{first} on ')")
    assert desk.page.locator("#models input:checked").get_attribute("value") == first


def test_nothing_is_asked_of_another_origin(desk: Any) -> None:
    fetched = {url.rsplit("/", 1)[-1].split("?")[0] for url in desk.watch.requests}
    # the watcher sees the worker's requests too: otherwise an empty list of foreign ones would mean nothing
    assert {"pyodide.asm.wasm", "pyodide.mjs", "pyodide-loader.mjs", "core.js", "index.json"} <= fetched
    assert desk.watch.foreign() == []
