"""What `handlens export` writes, on a static host: it reads what Python reads, and asks for its own files alone.

The page's policy forbids eval, so that waiting is for words that it shows.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import handlens
import hands
import numpy as np
import pytest
from handlens import cli, numbers
from handlens.answer import whole
from handlens.strokes import unpack
from playwright.sync_api import Browser, Page

SUB = "some/where/my-digits"
SIZES = [(320, 640), (390, 844), (1280, 900)]
SOME = 100  # images of the test set
CLOSE = 1e-5


class Quiet(SimpleHTTPRequestHandler):
    """Python's own static host."""

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A host's folder, with an export below it."""
    host = tmp_path_factory.mktemp("host")
    assert cli.main(["export", str(root / "web/models/digits.safetensors"), str(host / SUB)]) == 0
    return host


@pytest.fixture(scope="module")
def address(exported: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(exported)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{SUB}/"
    server.shutdown()
    server.server_close()


class Visit:
    """The exported page, with all that it asked for and complained about."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.page: Page = browser.new_context(**options).new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def ready(self) -> Visit:
        self.page.get_by_text("Draw a digit, 0 to 9.").wait_for()
        return self

    def text(self, name: str) -> str:
        return self.page.get_by_test_id(name).inner_text()

    def shares(self) -> list[float]:
        return self.page.evaluate("Array.from(document.querySelectorAll('[role=meter]'), (m) => m.ariaValueNow / 100)")

    def draw(self, strokes: Any) -> None:
        box = self.page.get_by_test_id("pad").bounding_box()
        assert box is not None
        for stroke in strokes:
            for k, (x, y) in enumerate(stroke):
                self.page.mouse.move(box["x"] + x * box["width"] / 28, box["y"] + y * box["height"] / 28)
                if k == 0:
                    self.page.mouse.down()
            self.page.mouse.up()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    made = Visit(browser, address).ready()
    yield made
    made.page.context.close()


def test_test_images_are_read_as_predict_reads_them(
    visit: Visit, mnist_test: Any, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = mnist_test[0][:SOME].astype(np.float32) / 255
    np.save(tmp_path / "images.npy", images)
    weights = str(root / "web/models/digits.safetensors")
    assert cli.main(["predict", weights, str(tmp_path / "images.npy"), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len(answers) == SOME
    for image, said in zip(images, answers, strict=True):
        visit.page.evaluate("(values) => handlens.show(values)", image.ravel().tolist())
        assert (visit.text("answer"), visit.text("answer-note")) == (said["text"], said["sentence"])
        wanted = [*said["digits"][0]["probabilities"], said["digits"][0]["none"]]
        assert np.abs(np.array(visit.shares()) - wanted).max() <= CLOSE
    assert visit.complaints == []


def test_drawings_are_read_as_python_reads_them(visit: Visit, root: Path) -> None:
    model = handlens.load(root / "web/models/digits.safetensors")
    chance = np.random.Generator(np.random.PCG64(11))
    pair = numbers.compose(hands.spread(2, offset=5), chance)
    for strokes in [*(hands.drawn(digit) for digit in hands.spread(10, offset=4)), hands.cells(pair.strokes, 280)]:
        visit.page.get_by_test_id("clear").click()
        assert visit.text("answer-note") == "Draw a digit, 0 to 9."
        assert visit.text("answer") == "?" and max(visit.shares()) == 0
        visit.draw(strokes)
        flat = visit.page.evaluate("Array.from(handlens.strokes())")
        places = numbers.read(model, unpack(np.array(flat, np.float32)), 280.0)
        said = whole([place.reading for place in places])
        assert (visit.text("answer"), visit.text("answer-note")) == (said.text, said.sentence)
        latest = max(places, key=lambda place: max(place.strokes)).reading
        assert np.abs(np.array(visit.shares()) - [*latest.probabilities, latest.none]).max() <= 1e-4


def test_it_asks_for_its_own_files_alone(
    browser: Browser, address: str, exported: Path, report: Callable[[str], None]
) -> None:
    visit = Visit(browser, address).ready()
    visit.draw([[(8, 7), (19.5, 7), (13.5, 21.5)]])
    assert visit.text("answer") == "7"
    visit.page.wait_for_timeout(300)
    files = {path.name: path.stat().st_size for path in (exported / SUB).iterdir()}
    asked = [url.removeprefix(address) or "index.html" for url in visit.requests if not url.startswith("data:")]
    assert set(asked) <= set(files) and len(asked) == len(set(asked))
    assert set(files) - set(asked) == {"handlens.wasm.gz"}  # this browser takes the other build
    report(
        f"exported page: {sum(files.values()):,} B in {len(files)} files, {sum(files[n] for n in asked):,} B fetched"
    )
    assert visit.complaints == []
    visit.page.context.close()


def test_what_is_in_the_way_is_said(browser: Browser, address: str, exported: Path) -> None:
    folder, moved = exported / SUB / "model.safetensors", exported / "moved"
    folder.rename(moved)
    try:
        visit = Visit(browser, address)
        visit.page.get_by_text("404").wait_for()
        assert visit.text("answer-note").startswith("The network cannot run here: model.safetensors")
    finally:
        moved.rename(folder)
    context = browser.new_context()
    context.add_init_script("WebAssembly.validate = () => false;")
    page = context.new_page()
    page.goto(address)
    page.get_by_text("The network cannot run here: this browser has no WebAssembly SIMD.").wait_for()
    for made in (visit.page.context, context):
        made.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_size_and_theme(browser: Browser, address: str, root: Path, size: tuple[int, int], scheme: Any) -> None:
    viewport: Any = {"width": size[0], "height": size[1]}
    visit = Visit(browser, address, viewport=viewport, color_scheme=scheme, device_scale_factor=2).ready()
    visit.draw([[(8, 7), (19.5, 7), (13.5, 21.5)]])
    assert visit.text("answer") == "7"
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.page.evaluate((root / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    found = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 8
    assert [f"{v['id']}: {node['failureSummary']}" for v in found["violations"] for node in v["nodes"]] == []
    visit.page.context.close()
