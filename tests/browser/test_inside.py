"""Look inside: from the whole network to one product and back to the pixels, by mouse and by keyboard alone.

The page is started once for nearly all of it, which takes longer than everything that is then done on it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looks import no_sideways_scroll, unfolded, violations

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]
SHOWN = "document.getElementById('inside-view').dataset.shown"


@pytest.fixture
def inside(desk: Any) -> Iterator[Any]:
    """The shared desk with a seven, the view open; afterwards back at the drawing."""
    desk.stroke(SEVEN)
    desk.rested()
    desk.get("view-inside").click()
    at(desk, "whole")
    yield desk
    if desk.get("inside-model").input_value() != "digits":
        desk.get("inside-model").select_option("digits")
    desk.get("view-draw").click()
    desk.page.wait_for_function("document.documentElement.dataset.view === 'draw'")


def at(desk: Any, place: str) -> None:
    """Wait until the view shows a place, as "layer cell", for the drawing as it stands."""
    desk.page.wait_for_function(
        """(place) => {
          const root = document.getElementById("inside-view");
          return root && root.dataset.version === String(pad.version()) && root.dataset.shown === place;
        }""",
        arg=place,
        timeout=30_000,
    )


def numbers(desk: Any, table: int) -> list[float]:
    """The numbers of one of the small matrices of the equation, row by row."""
    texts = desk.get("equation").locator(".matrix").nth(table).locator("td").all_inner_texts()
    return [float(text.replace("\u2212", "-")) for text in texts]


def test_from_a_drawing_to_one_product_and_back_to_the_pixels(inside: Any, tmp_path: Path) -> None:
    page = inside.page
    for name in ("input", "conv1", "pool1", "conv4", "flatten1", "dense1", "softmax1"):
        assert inside.get(f"step-{name}").is_visible()
    before = page.evaluate("document.querySelectorAll('.maps')[1].toDataURL()")
    inside.stroke([(6, 24), (22, 24)])  # the pad is still at hand, and everything follows
    inside.settled()
    at(inside, "whole")
    assert page.evaluate("document.querySelectorAll('.maps')[1].toDataURL()") != before
    inside.get("undo").click()
    inside.settled()
    at(inside, "whole")
    assert page.evaluate("document.querySelectorAll('.maps')[1].toDataURL()") == before

    inside.get("step-conv2").click()
    at(inside, "conv2 layer")
    assert "one matrix for each of the 16 maps of pool1" in inside.get("kernel").inner_text()
    assert page.locator(".channels > tbody > tr").count() == 6
    inside.get("all-channels").click()
    assert page.locator(".channels > tbody > tr").count() == 16
    inside.get("gallery").press("ArrowRight")
    at(inside, "conv2 layer 1")
    what_a_kernel_reads_and_makes_as_tables(inside)
    inside.get("gallery").press("Enter")
    page.wait_for_function(SHOWN + ".startsWith('conv2 cell 1.')")
    patch, kernel, product = (numbers(inside, k) for k in range(3))
    assert len(patch) == len(kernel) == len(product) == 9
    for a, b, c in zip(patch, kernel, product, strict=True):
        assert c == pytest.approx(a * b, abs=0.02)  # two decimals are shown
    assert inside.get("field").is_visible()

    inside.get("chain").locator(".num").first.click()  # the convolution's own number
    inside.get("level-0").wait_for()
    level = 0
    while "input" not in (inside.get(f"level-{level}").locator("h4").inner_text()):
        inside.get(f"level-{level}").locator("[data-term]").first.click()
        level += 1
        inside.get(f"level-{level}").wait_for()
        assert level < 12
    pixel = inside.get("field").bounding_box()
    pad = inside.get("pad").bounding_box()
    assert 0 < pixel["width"] < pad["width"] / 8
    assert (
        "stroke 1" in inside.get(f"level-{level}").inner_text() or "0.0000" in inside.get(f"level-{level}").inner_text()
    )

    inside.get("copy-0").click()
    program = inside.get("level-0").locator("textarea")
    program.wait_for()
    text = program.input_value()
    shown = inside.get("level-0").locator("h4 b").inner_text().replace("\u2212", "-")
    made = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    assert float(made.splitlines()[0].split("=")[1]) == pytest.approx(float(shown), abs=1e-4)

    page.keyboard.press("Escape")  # one level up
    inside.get(f"level-{level}").wait_for(state="detached")
    inside.get("certificate-close").click()
    inside.get("certificate").wait_for(state="hidden")
    page.go_back()


def what_a_kernel_reads_and_makes_as_tables(desk: Any) -> None:
    """The maps of the source, each slid over, their sum and what follows: each a table, and they agree."""
    side = int(desk.page.evaluate("document.querySelector('[data-testid=chain-0]').style.aspectRatio.split('/')[0]"))
    assert side > 8
    over = [
        table(unfolded(desk, "layer-figures", f"Slid over pool1, map {channel + 1}"), side) for channel in range(16)
    ]
    total = table(unfolded(desk, "layer-figures", "Sum of all channels"), side)
    for row in (0, side // 2):
        for column in (1, side - 1):
            assert total[row][column] == pytest.approx(sum(one[row][column] for one in over), abs=0.1)
    after = table(unfolded(desk, "layer-figures", "ReLU, relu2"), side)
    normed = table(unfolded(desk, "layer-figures", "Batch norm, bn2"), side)
    assert all(max(a, 0) == pytest.approx(b, abs=0.006) for a, b in zip(normed[3], after[3], strict=True))
    table(unfolded(desk, "layer-figures", "pool1, map 16"))
    table(unfolded(desk, "layer-figures", "conv2, map 2"), side)


def table(rows: list[list[str]], side: int = 0) -> list[list[float]]:
    """The numbers of a square table, whose rows begin with their place."""
    assert len(rows) == (side or len(rows)) and all(len(row) == len(rows) + 1 for row in rows)
    return [[float(text.replace("\u2212", "-")) for text in row[1:]] for row in rows]


def test_by_keyboard_alone(inside: Any) -> None:
    page = inside.page
    inside.get("step-conv1").focus()
    page.keyboard.press("Enter")
    at(inside, "conv1 layer")
    assert page.evaluate("document.activeElement.dataset.testid") == "gallery"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    at(inside, "conv1 layer 2")
    page.keyboard.press("Enter")
    page.wait_for_function(SHOWN + ".startsWith('conv1 cell 2.')")
    page.wait_for_function("document.activeElement.dataset.testid === 'lens-source'")
    row, column = map(int, page.evaluate(SHOWN).split(".")[1:])
    page.keyboard.press("ArrowDown" if row < 12 else "ArrowUp")
    row += 1 if row < 12 else -1
    at(inside, f"conv1 cell 2.{row}.{column}")
    written = f"written to row {row + 1}, column {column + 1}."
    page.wait_for_function("(text) => document.getElementById('live').textContent.endsWith(text)", arg=written)
    said = page.locator("#live").text_content()
    assert said.startswith("Patch row 1: ") and "sum" in said and "Batch norm" in said
    page.keyboard.press("Enter")
    inside.get("level-0").wait_for()
    page.wait_for_function("document.activeElement.classList.contains('level-title')")
    page.keyboard.press("Tab")  # the list of terms, which can be scrolled
    page.keyboard.press("Tab")  # the first of them
    page.keyboard.press("Enter")
    inside.get("level-1").wait_for()
    assert "input" in inside.get("level-1").locator("h4").inner_text()
    for _ in range(2):
        page.keyboard.press("Escape")
    inside.get("certificate").wait_for(state="hidden")
    page.keyboard.press("Escape")
    at(inside, "conv1 layer 2")
    page.keyboard.press("Escape")
    at(inside, "whole")


def test_pooling_side_by_side_and_the_other_steps(inside: Any) -> None:
    page = inside.page
    page.evaluate(
        "location.hash = location.hash.replace('#inside', '#inside?layer=pool1&cell=0.5.5').replace('5?', '5&')"
    )
    at(inside, "pool1 cell 0.5.5")
    assert "Max pooling used here" in inside.get("lens-target").locator("xpath=..").inner_text()
    assert "Average pooling for comparison" in inside.get("lens-target-2").locator("xpath=..").inner_text()
    window = numbers(inside, 0)
    shown = inside.get("equation").locator(".named:not(:has(table))").all_inner_texts()
    largest, mean = (float(text.split("\n")[-1].replace("\u2212", "-")) for text in shown)
    assert largest == max(window) and mean == pytest.approx(sum(window) / 4, abs=0.01)
    assert page.locator("[data-mark=winner]").count() == 1
    inside.get("lens-next").click()
    at(inside, "pool1 cell 0.5.6")
    inside.get("lens-play").click()
    page.wait_for_function(SHOWN + " === 'pool1 cell 0.5.8'", timeout=10_000)
    inside.get("lens-play").click()

    for layer, cell, words in (
        ("bn1", "1.3.4", "deviation"),
        ("relu1", "1.3.4", "below 0"),
        ("flatten1", "70", "index"),
        ("dense1", "3", "terms above 0"),
        ("softmax1", "7", "sum of all"),
    ):
        page.evaluate(f"location.hash = '#inside?layer={layer}&cell={cell}'")
        at(inside, f"{layer} cell {cell}")
        assert words in inside.get("inside-body").inner_text()
        if layer == "relu1":
            curve = unfolded(inside, "step-figures", "The curve, point by point")
            assert len(curve) == 121 and float(curve[-1][1]) == float(curve[-1][2]) > 0 == float(curve[0][2])
            x, y = (table(unfolded(inside, "step-figures", f"{name} of map 2")) for name in ("x", "f(x)"))
            for below, above in zip(x, y, strict=True):
                assert above == pytest.approx([max(0, value) for value in below], abs=0.006)
        if layer == "flatten1":
            table(unfolded(inside, "step-figures", "pool2, map 5"))
            listed = unfolded(inside, "step-figures", "flatten1, the list")
            assert sum(len(row) - 1 for row in listed) == 1024
    shares = page.locator(".terms tbody tr td:nth-child(5)").all_inner_texts()[:-1]
    assert sum(float(share.removesuffix(" %")) for share in shares) == pytest.approx(100, abs=0.2)
    inside.get("inside-model").select_option("ann")
    at(inside, "softmax1 cell 7")  # this network has one, too
    inside.get("tab-network").click()
    inside.get("step-dense1.linear").click()
    inside.get("neuron-weights").wait_for()
    inside.get("gallery").press("Enter")
    at(inside, "dense1.linear cell 0")
    every_term_of_a_neuron(inside)
    inside.get("inside-model").select_option("digits")
    at(inside, "whole")  # which has no such layer
    assert "digits has no layer called dense1.linear" in inside.get("inside-note").inner_text()


def every_term_of_a_neuron(desk: Any) -> None:
    """Forty terms and the others as one; all of them when asked for, for each neuron and drawing."""
    terms, button = desk.page.locator(".terms tbody tr"), desk.get("all-terms")
    assert terms.count() == 41 and "744 smaller terms" in terms.nth(40).inner_text()
    assert button.inner_text() == "Show all 784 terms"
    rest = number(terms.nth(40).locator("td").nth(5).inner_text())
    button.click()
    desk.page.wait_for_selector(".terms[data-full]")
    cells = desk.page.locator(".terms table").evaluate("(t) => [...t.rows].slice(1).map((r) => r.cells[5].innerText)")
    products = [number(text) for text in cells]
    assert len(products) == 784 and [abs(p) for p in products] == sorted(map(abs, products), reverse=True)
    assert sum(products[40:]) == pytest.approx(rest, abs=0.2)  # three decimals are shown
    table(unfolded(desk, "step-figures", "Value \u00d7 weight over input"), 28)
    desk.get("mover").press("ArrowRight")
    at(desk, "dense1.linear cell 1")
    desk.page.wait_for_selector(".terms[data-full]")
    assert terms.count() == 784
    button.click()
    assert terms.count() == 41


def number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_a_link_leads_back_to_the_same_number(inside: Any, new_desk: Callable[..., Any]) -> None:
    page = inside.page
    inside.get("step-conv1").click()
    at(inside, "conv1 layer")
    inside.get("gallery").press("Enter")
    page.wait_for_function(SHOWN + ".startsWith('conv1 cell 0.')")
    inside.get("chain").locator(".num").first.click()
    inside.get("level-0").wait_for()
    place, address = page.evaluate(SHOWN), page.url.partition("#")[2]
    assert "ink=" in address and "of=conv1" in address
    level = inside.get("level-0").inner_text()
    for _ in range(3):
        page.go_back()
    at(inside, "whole")
    for _ in range(3):
        page.go_forward()
    at(inside, place)
    other = new_desk(viewport={"width": 320, "height": 640}).open("#" + address)
    at(other, place)
    assert other.get("level-0").inner_text() == level
    assert other.flat() == inside.flat()
    no_sideways_scroll(other)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_inside(inside: Any, axe: str, scheme: str) -> None:
    page = inside.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    try:
        assert violations(inside, axe) == []
        places = ["conv2 layer 3", "conv4 cell 3.0.0", "pool1 cell 2.4.4", "flatten1 cell 9", "softmax1 cell 7"]
        for place in places if scheme == "light" else places[:2]:
            layer, kind, cell = place.split(" ")
            more = "&of=conv4:3.0.0" if layer == "conv4" else ""
            page.evaluate(f"location.hash = '#inside?layer={layer}&cell={cell}{more}'")
            at(inside, place)
            if kind == "cell" and layer == "conv4":
                inside.get("level-0").wait_for()
                page.set_viewport_size({"width": 320, "height": 640})
                no_sideways_scroll(inside)
                page.set_viewport_size({"width": 1280, "height": 900})
                inside.get("lens-play").click()  # no motion is wanted: one step, and it stands
                at(inside, "conv4 cell 3.0.1")
                assert inside.get("lens-play").inner_text() == "Play"
                place = "conv4 cell 3.0.1"
            assert violations(inside, axe) == [], place
    finally:
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")


def test_a_click_on_the_strip_opens_that_map(desk: Any) -> None:
    desk.stroke(SEVEN)
    desk.rested()
    canvas = desk.page.locator("#strip-body .layer:has(b:text-is('pool1')) canvas")
    canvas.click(position={"x": 40, "y": 8})
    desk.page.wait_for_function("document.documentElement.dataset.view === 'inside'")
    at(desk, "pool1 layer 1")
    desk.page.go_back()
    desk.page.wait_for_function("document.documentElement.dataset.view === 'draw'")


def test_why_and_the_operating_table(inside: Any, axe: str) -> None:
    page = inside.page
    inside.get("tab-why").click()
    at(inside, "why")
    assert "For 7: score" in inside.get("why-words").inner_text()
    page.wait_for_selector("[data-testid=why-occlusion][data-version]", timeout=30_000)
    inside.get("why-target").select_option("1")
    page.wait_for_function("document.querySelector('[data-testid=why-words]').textContent.startsWith('For 1:')")
    for picture in ("What the network sees", "Saliency", "Its sign", "Grad-CAM", "Occlusion"):
        table(unfolded(inside, "why-figures", picture), 28)
    worth = inside.get("worth-rows")
    worth.locator("tr", has_text="all ").wait_for()
    inside.get("worth-layer").select_option("conv1")
    inside.page.wait_for_selector("[data-testid=worth][data-layer=conv1]")
    rows = [row.split("\t") for row in worth.locator("tbody tr").all_inner_texts()]
    whole = float(rows[0][1].replace("\u2212", "-"))
    for row in rows[1:]:  # the change is that of the score, the largest fall first
        score, change = (float(text.replace("\u2212", "-")) for text in row[1:3])
        assert score == pytest.approx(whole + change, abs=0.011)
    kernel = rows[1][0].split()[1]
    worth.locator("[data-kernel]").first.click()
    at(inside, f"conv1 layer {int(kernel) - 1}")
    page.go_back()
    at(inside, "why")
    assert violations(inside, axe) == [], "why"
    inside.get("tab-table").click()
    at(inside, "table")
    field = inside.get("weight-2-2")
    field.wait_for()
    before = field.input_value()
    field.fill("9")
    field.press("Enter")
    page.wait_for_function("document.querySelectorAll('[data-testid=table-changes] li').length === 1")
    page.wait_for_function("document.querySelector('[data-testid=weight-2-2]').value === '9.000'")
    page.wait_for_function(
        "document.querySelector('[data-testid=table-measured]').textContent.includes('test images,')", timeout=60_000
    )
    assert "lost" in inside.get("table-measured").inner_text()
    assert violations(inside, axe) == [], "table"
    page.set_viewport_size({"width": 320, "height": 640})
    no_sideways_scroll(inside)
    page.set_viewport_size({"width": 1280, "height": 900})
    inside.get("table-look").click()
    at(inside, "whole")
    assert inside.get("changed-copy").get_attribute("aria-pressed") == "true"
    inside.get("tab-table").click()
    at(inside, "table")
    inside.get("table-layer").select_option("pool1")
    inside.get("table-stride").wait_for()
    inside.get("table-stride").select_option("3")
    page.wait_for_function("document.querySelector('[data-testid=table-refused]').textContent.length > 20")
    assert inside.get("table-changes").locator("li").count() == 1  # nothing was changed
    inside.get("compare").wait_for()
    assert "7, " in inside.get("compare-answers").inner_text()
    original, changed, moved = (
        table(unfolded(inside, "compare-figures", name)) for name in ("Original", "Changed", "Difference")
    )
    assert changed[5][5] - original[5][5] == pytest.approx(moved[5][5], abs=0.02)
    page.wait_for_function("document.querySelector('[data-testid=compare-words]').textContent.startsWith('pool1')")
    inside.get("table-undo").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=table-changes] li').length === 0")
    inside.get("table-layer").select_option("conv1")
    page.wait_for_function(f"document.querySelector('[data-testid=weight-2-2]')?.value === '{before}'")


def test_what_stands_beside_a_kernel_and_another_size(inside: Any) -> None:
    page = inside.page
    inside.get("step-conv1").click()
    at(inside, "conv1 layer")
    inside.get("made").locator("> summary").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=made] figure').length === 8")
    assert "Nearest to" in inside.get("made").inner_text()
    inside.get("excited").locator("> summary").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=excited] figure').length > 3", timeout=60_000)
    unfolded(inside, "excited-figures")
    pictures = inside.get("excited-figures-choice").locator("option").all_inner_texts()
    pixels = [table(unfolded(inside, "excited-figures", name), 28) for name in pictures[:2]]
    assert len(pictures) == 9 and pixels[0] != pixels[1] and all(0 < max(map(max, one)) <= 1 for one in pixels)
    inside.get("by-cosine").check()
    inside.get("matched").wait_for(timeout=60_000)
    figures = inside.get("excited").locator("figcaption").all_inner_texts()
    best = float(figures[0].split()[-1].replace("\u2212", "-"))
    others = [float(text.split(", ")[1].replace("\u2212", "-")) for text in figures[1:]]
    assert -1 <= best <= 1 and others == sorted(others, reverse=True) and 0.5 < others[0] <= 1
    assert "The match alone" in inside.get("excited").inner_text().replace("the match alone", "The match alone")
    inside.get("tab-table").click()
    at(inside, "table")
    inside.get("sizes").locator("summary").click()
    inside.get("feed").click()
    page.wait_for_function("document.querySelector('[data-testid=sized] .refused')")
    assert "28" in inside.get("sized").inner_text() and "40" in inside.get("sized").inner_text()
    inside.get("feed-any").click()
    page.wait_for_function(
        "document.querySelector('[data-testid=sized]').textContent.includes('It reads')", timeout=90_000
    )
    inside.get("help").click()
    assert "comes back" in page.locator("#sheet").inner_text()
    page.keyboard.press("Escape")
    at(inside, "table")  # the dialog took it


def test_a_stride_that_flatten_refuses_works_on_the_average_and_survives_a_reload(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open("#inside?model=cnn-small&tab=table&pick=conv1-3-0-1-2")
    page = desk.page
    desk.stroke(SEVEN)
    at(desk, "table")
    assert desk.get("table-kernel").input_value() == "4"
    slider = desk.get("table-slider")
    assert slider.get_attribute("aria-label") == "Weight in row 2, column 3"
    slider.fill("0.5")
    slider.fill("0.9")
    changes = desk.get("table-changes").locator("li")
    changes.filter(has_text="conv1 kernel 4, row 2, column 3").filter(has_text="to 0.90").wait_for()
    assert changes.count() == 1  # drawn along a scale: one step to undo
    page.wait_for_selector("[data-testid=compare][data-version]")
    assert "conv1, map 4 of 8. 1 of its 8 maps has changed." in desk.get("compare-words").inner_text()
    desk.get("table-stride").select_option("2")
    desk.get("table-refused").filter(has_text="64 numbers, but dense1 has weights for the 400").wait_for()
    desk.get("table-offer").click()
    changes.filter(has_text="conv1: stride 1 to 2").wait_for()
    assert changes.count() == 2 and desk.get("table-free").is_visible()
    measured = desk.get("table-measured")
    measured.filter(has_text="test images,").wait_for(timeout=60_000)
    right = measured.inner_text()
    desk.get("table-look").click()
    at(desk, "whole")
    page.evaluate("location.hash += '&layer=conv1&cell=3.4.5'")
    at(desk, "conv1 cell 3.4.5")
    shown = desk.get("equation").inner_text()
    page.reload()
    desk.ready()
    at(desk, "conv1 cell 3.4.5")
    assert desk.get("equation").inner_text() == shown  # of the changed network, on the same drawing
    assert desk.get("changed-copy").get_attribute("aria-pressed") == "true"
    desk.get("tab-table").click()
    at(desk, "table")
    assert changes.count() == 2
    page.reload()
    desk.ready()
    at(desk, "table")
    assert changes.count() == 2 and desk.get("table-kernel").input_value() == "4"
    measured.filter(has_text="test images,").wait_for(timeout=60_000)
    assert measured.inner_text() == right
    another_size_and_another_engine_leave_the_changes(desk)
    desk.get("table-own").click()
    page.wait_for_function("document.querySelector('[data-testid=table-free]').hidden")
    desk.get("tab-why").click()
    at(desk, "why")
    desk.get("why-target").select_option("3")
    words = desk.get("why-words").filter(has_text="For 3:")
    words.wait_for()
    told = words.inner_text()
    page.reload()
    desk.ready()
    at(desk, "why")
    assert words.inner_text() == told and desk.get("why-target").input_value() == "3"


def another_size_and_another_engine_leave_the_changes(desk: Any) -> None:
    """The copy of a size that one asks for is not the one on the table, and a new engine is told what was done."""
    desk.get("sizes").locator("summary").click()
    desk.get("side").fill("48")
    desk.get("feed-any").click()
    desk.get("sized").filter(has_text="It reads 7").wait_for(timeout=60_000)
    changes = desk.get("table-changes").locator("li")
    desk.get("table-zero").click()
    changes.nth(2).wait_for()
    desk.page.evaluate("document.querySelector('script[type=py]').xworker.terminate()")
    desk.stroke([(5, 24), (6, 24)])
    desk.page.wait_for_selector("html[data-engine=failed]", timeout=60_000)
    desk.get("again").click()
    desk.ready()
    desk.get("undo").click()
    at(desk, "table")
    desk.get("table-undo").click()
    desk.page.wait_for_function("document.querySelectorAll('[data-testid=table-changes] li').length === 2")
    assert desk.get("table-redo").get_attribute("title").startswith("conv1 kernel 4: silenced")


def test_each_of_several_digits_has_its_field_on_the_pad(inside: Any) -> None:
    page = inside.page
    page.evaluate("pad.clear()")
    inside.strokes([[(3, 7), (11, 7), (9, 12), (7, 20)], [(19, 6), (19, 20)]])
    inside.settled()
    inside.get("step-conv1").click()
    at(inside, "conv1 layer")
    inside.get("gallery").press("Enter")
    page.wait_for_function(SHOWN + ".startsWith('conv1 cell 0.')")
    for place in (0, 1, 0):  # the newest, the one on the right, is looked at first
        inside.get(f"inside-place-{place}").click()
        page.locator(f"[data-testid=inside-place-{place}][aria-pressed=true]").wait_for()
        page.wait_for_function(
            """(left) => {
              const field = document.querySelector('[data-testid=field]'), pad = document.getElementById('pad-frame');
              const [a, b] = [field.getBoundingClientRect(), pad.getBoundingClientRect()];
              const middle = (a.left + a.width / 2 - b.left) / b.width;
              return !field.hidden && (left ? middle < 0.45 : middle > 0.55);
            }""",
            arg=place == 0,
        )
