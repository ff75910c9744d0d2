"""The standalone module in Chromium, plain and with relaxed SIMD: the op table, the test set, drawings."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import handlens
import hands
import numpy as np
import pytest
from handlens import numbers
from handlens.answer import whole
from handlens.backends.base import Backend, Control, Program
from handlens.backends.native import library, ops_table
from handlens.backends.native.encode import encode
from handlens.backends.native.lower import Lowered, lower, unsupported
from handlens.backends.numpy_backend import view
from handlens.errors import BackendError
from handlens.io.page_export import export
from handlens.plan import Plan
from handlens.strokes import Stroke, pack, unpack
from op_cases import CASES, DIFFERENTIABLE, Case
from parity_check import check_forward, check_gradients
from playwright.sync_api import Browser, Page

FORWARD, BACKWARD, PROBABILITY, PIXEL = 1e-5, 1e-4, 1e-5, 1 / 255
EXTENT = 280.0
BUILDS = ["handlens.wasm", "handlens-relaxed.wasm"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "page"
    export(root / "web/models/digits.safetensors", folder)
    return folder


@pytest.fixture(scope="module")
def lab(browser: Browser, site_url: str, root: Path, exported: Path, mnist_dir: Path) -> Iterator[Page]:
    """An empty page that can fetch the kernels, an exported model and the test images."""
    page = browser.new_context().new_page()
    files = {path.name: path for path in exported.iterdir()}
    files |= {f"whole-{name}": library.FOLDER / name for name in BUILDS}
    files |= {"standalone.js": root / "tests/standalone.js", "images": mnist_dir / "t10k-images-idx3-ubyte"}

    def answer(route: Any) -> None:
        path = files.get(route.request.url.rsplit("/", 1)[-1])
        if path is None:
            route.fulfill(content_type="text/html", body="<!doctype html><title>lab</title>")
        else:
            kind = "text/javascript" if path.suffix == ".js" else "application/octet-stream"
            route.fulfill(content_type=kind, body=path.read_bytes())

    page.route(f"{site_url}lab/**", answer)
    page.goto(f"{site_url}lab/")
    page.add_script_tag(url="standalone.js")
    assert page.evaluate("typeof standalone.run") == "function"
    yield page
    page.context.close()


@dataclass
class Loaded(Program):
    """A plan as encoded, what was uploaded, and the buffers after the last run."""

    plan: Plan
    lowered: Lowered
    uploads: list[tuple[int, int, str]] = field(default_factory=list)
    buffers: dict[str, Any] = field(default_factory=dict)


class Standalone(Backend):
    """The module in a page as a backend of this Python, to be held against the others by the same tests."""

    name = "standalone"

    def __init__(self, page: Page) -> None:
        self.page, self.table = page, ops_table.installed()

    def supports(self, plan: Plan) -> list[str]:
        return unsupported(plan, self.table.ops)

    async def load(self, plan: Plan, shared: Mapping[str, Any] | None = None) -> Loaded:
        assert self.supports(plan) == [] and not shared
        return Loaded(plan, lower(plan))

    def upload(self, program: Program, name: str, data: Any) -> None:
        assert isinstance(program, Loaded)
        place = program.lowered.tensors[name]
        array = np.ascontiguousarray(data, place.dtype)
        assert array.shape == place.shape
        buffer = list(program.lowered.buffers).index(place.buffer)
        program.uploads.append((buffer, place.offset, base64.b64encode(array.tobytes()).decode()))

    def prepare(self, program: Program) -> None:
        return  # run() does

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        assert isinstance(program, Loaded) and steps == 1 and not control
        plan = encode(program.plan, program.lowered, self.table.ops, self.table.hash)
        sizes = list(program.lowered.buffers.values())
        arguments = [base64.b64encode(plan).decode(), sizes, program.uploads]
        made = self.page.evaluate("(given) => standalone.run(...given)", arguments)
        if made["error"]:
            raise BackendError(f"error {made['error']}")
        data = [np.frombuffer(base64.b64decode(text), np.uint8) for text in made["buffers"]]
        program.buffers = dict(zip(program.lowered.buffers, data, strict=True))

    async def fetch(self, program: Program, *names: str) -> dict[str, Any]:
        assert isinstance(program, Loaded)
        places = {name: program.lowered.tensors[program.plan.outputs.get(name, name)] for name in names}
        return {name: view(program.buffers[place.buffer], place).copy() for name, place in places.items()}

    def close(self, program: Program) -> None:
        return


@pytest.fixture(scope="module", params=BUILDS)
def standalone(request: pytest.FixtureRequest, lab: Page) -> Standalone:
    lab.evaluate("(name) => standalone.open(`whole-${name}`)", request.param)
    return Standalone(lab)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, standalone: Standalone) -> None:
    check_forward(case, standalone, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, standalone: Standalone) -> None:
    check_gradients(case, standalone, BACKWARD)


def test_a_damaged_plan_is_refused(lab: Page, standalone: Standalone) -> None:
    case = next(case for case in CASES if case.op == "relu")
    standalone.table = ops_table.parsed(standalone.table.text.replace("adam", "madam"))  # of other kernels
    with pytest.raises(BackendError, match=r"error -1$"):
        check_forward(case, standalone, FORWARD)
    standalone.table = ops_table.installed()
    check_forward(case, standalone, FORWARD)


# -- whole models --


@pytest.fixture(scope="module")
def model(root: Path) -> Any:
    return handlens.load(root / "web/models/digits.safetensors")


@pytest.fixture(scope="module")
def expected(model: Any, mnist_test: Any) -> Any:
    """NumPy's shares of the 10,000 test images."""
    return model.predict(mnist_test[0])


@pytest.fixture(params=[False, True], ids=["plain", "relaxed"])
def lens(request: pytest.FixtureRequest, lab: Page) -> str:
    """A lens in the page, under this name; the two builds are really two."""
    open_it = "import('./lens.js').then(async ({openLens}) => { window.lens = await openLens({relaxed: %s}); })"
    with lab.expect_request("**/*.wasm.gz") as asked:
        lab.evaluate(open_it % str(request.param).lower())
    assert ("relaxed" in asked.value.url) is request.param
    return "window.lens"


def test_the_two_builds_differ(exported: Path) -> None:
    plain, relaxed = (gzip.decompress((exported / f"{name}.gz").read_bytes()) for name in BUILDS)
    madd = b"\xfd\x85\x02"  # f32x4.relaxed_madd
    assert relaxed.count(madd) > 20 > plain.count(madd)


def test_ten_thousand_images(lab: Page, lens: str, expected: Any, report: Callable[[str], None], request: Any) -> None:
    text = lab.evaluate(f"standalone.images({lens}, 'images')")
    found = np.frombuffer(base64.b64decode(text), np.float32).reshape(expected.shape)
    worst = float(np.abs(found - expected).max())
    kind = request.node.callspec.id
    report(f"standalone module, {kind}: largest difference in a probability over 10,000 test images {worst:.1e}")
    assert len(found) == 10_000
    assert worst <= PROBABILITY


def flats(count: int) -> list[list[float]]:
    """Pen drawings as a pad packs them: digits, every tenth in place of it a number or a scribble with an eraser."""
    chance = np.random.Generator(np.random.PCG64(3))
    drawn = []
    for k, digit in enumerate(hands.spread(count, offset=3)):
        strokes = digit.drawn(EXTENT, float(chance.uniform(40, 220)), float(chance.uniform(8, 40)))
        if k % 10 == 0:
            others = [hands.digits()[0][int(i)] for i in chance.integers(0, len(hands.digits()[0]), 2 + k // 10 % 3)]
            strokes = numbers.compose(others, chance).strokes
        if k % 10 == 1:
            strokes = [*strokes, Stroke(chance.uniform(60, 220, (4, 2)), 20.0, True)]
        drawn.append([float(value) for value in pack(strokes)])
    return drawn


def test_a_thousand_drawings(
    lab: Page, lens: str, model: Any, report: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    drawn = flats(1000)
    found = lab.evaluate(f"(given) => standalone.drawings({lens}, given, {EXTENT})", drawn)
    pixel = share = 0.0
    several = 0
    for flat, read in zip(drawn, found, strict=True):
        places = numbers.read(model, unpack(np.array(flat, np.float32)), EXTENT)
        if not places:
            assert read == {"blank": True}
            continue
        said = whole([place.reading for place in places])
        assert (read["text"], read["verdict"], read["sentence"]) == (said.text, said.verdict, said.sentence)
        assert read["weakest"] == said.weakest
        latest = max(range(len(places)), key=lambda place: max(places[place].strokes))
        assert read["latest"] == latest
        several += len(places) > 1
        for place, made in zip(places, read["places"], strict=True):
            pixel = max(pixel, float(np.abs(np.array(made["seen"]) - place.prepared.image.ravel()).max()))
            wanted = place.reading
            share = max(share, float(np.abs(np.array(made["probabilities"]) - wanted.probabilities).max()))
            assert (made["verdict"], made["digit"], made["second"]) == (wanted.verdict, wanted.best, wanted.second)
            assert (made["sentence"], made["answered"]) == (wanted.sentence, wanted.digit is not None)
            assert np.array(made["box"]) * EXTENT == pytest.approx(np.array(place.box), abs=1e-6)
    kind, source = request.node.callspec.id, hands.digits()[1]
    line = f"1,000 drawings ({source}, {several} of them numbers): 28x28 within {pixel:.1e}, probabilities {share:.1e}"
    report(f"standalone module, {kind}: {line}, every answer and sentence the same")
    assert several >= 60
    assert pixel <= PIXEL
    assert share <= 1e-3  # a pixel that differs by 1/255 may move a share


def test_what_is_too_much_or_nothing(lab: Page, lens: str) -> None:
    long = [100_000, 22, 0] + [float(10 + k % 200) for k in range(200_000)]
    cases = {"blank": [], "erased": [2, 22, 1, 10, 10, 50, 50], "long": long * 2, "cut": [9, 22, 0, 1, 1]}
    for name, flat in cases.items():
        found = lab.evaluate(f"(given) => standalone.drawings({lens}, [given], {EXTENT})", flat)
        assert found == [{"blank": True} if name in ("blank", "erased") else None], name
    crowd = [value for k in range(14) for value in (2, 8, 0, 10 + 19 * k, 100, 10 + 19 * k, 180)]
    (read,) = lab.evaluate(f"(given) => standalone.drawings({lens}, [given], {EXTENT})", crowd)
    assert "?" in read["text"]
