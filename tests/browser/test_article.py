"""The article in the page: the text, figures that answer the visitor's own numbers and drawing, places, access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from looks import drawing_again, figure, no_sideways_scroll, unfolded, violations


@pytest.fixture
def reading(desk: Any) -> Iterator[Any]:
    """The shared desk with the article open; afterwards the drawing again."""
    desk.get("view-article").click()
    desk.page.locator("#article-text").wait_for()
    yield desk
    drawing_again(desk)


def says(figure: Any, words: str) -> None:
    """Wait until the figure's line says this."""
    figure.locator(".live-total", has_text=words).wait_for()


def test_figures_answer_the_visitors_numbers(reading: Any) -> None:
    neuron = figure(reading, "neuron")
    neuron.get_by_label("Bias of neuron 1").fill("2.5")
    neuron.locator(".line", has_text="= 2.80").first.wait_for()  # 0.8 - 0.2 - 0.3 + 2.5
    weights = neuron.get_by_label("Weights of neuron 1, number 1")
    weights.fill("-0.25")
    neuron.locator(".line", has_text="\u22120.25·1.0 \u2212 0.4·0.5").first.wait_for()
    neuron.locator(".line", has_text="= \u22120.25 \u2212 0.20 \u2212 0.30 + 2.50 = 1.75").first.wait_for()
    weights.press("ArrowUp")
    neuron.locator(".line", has_text="= 1.85").first.wait_for()
    assert weights.input_value() == "\u22120.15"

    hadamard = figure(reading, "hadamard")
    says(hadamard, "Sum of the product: 0.00")
    hadamard.get_by_label("Patch, row 2, column 1").fill("3")
    says(hadamard, "Sum of the product: 3.00")
    hadamard.get_by_label("turn the kernel by half a turn").check()
    says(hadamard, "with the kernel turned: \u22125.00")
    hadamard.get_by_label("Patch, row 2, column 1").fill("")
    hadamard.locator(".live-note", has_text="Each field needs a number").wait_for()

    pooling = figure(reading, "pooling")
    says(pooling, "Not moved: 0 of 9")
    right = pooling.get_by_role("button", name="Right")
    right.focus()
    reading.page.keyboard.press("Enter")
    says(pooling, "Moved by 1 to the right")

    flatten = figure(reading, "flatten")
    says(flatten, "3 maps of 12 × 12 are 432 numbers")
    flatten.get_by_label("Poolings").press("ArrowRight")
    says(flatten, "3 maps of 6 × 6 are 108 numbers")

    counts = figure(reading, "counts")
    says(counts, "50\u202f176 inputs")
    counts.locator("td", has_text="5\u202f017\u202f700").first.wait_for()
    counts.get_by_label("in colour").check()
    says(counts, "150\u202f528 inputs")
    counts.get_by_role("button", name="Time both here").click()
    counts.locator(".live-note", has_text="15,052,800 weights take too much memory").wait_for()
    counts.get_by_label("in colour").uncheck()
    says(counts, "50\u202f176 inputs")
    counts.get_by_role("button", name="Time both here").click()
    counts.get_by_role("status").filter(has_text="One image, on NumPy: dense").wait_for()


def test_a_curve_is_drawn_and_followed(reading: Any) -> None:
    approximate = figure(reading, "approximate")
    says(approximate, "8 neurons, 25 parameters")
    before = approximate.locator(".draw-curve .mine").get_attribute("d")
    box = approximate.locator(".draw-curve")
    place = box.bounding_box()
    reading.page.mouse.move(place["x"] + 20, place["y"] + 20)
    reading.page.mouse.down()
    reading.page.mouse.move(place["x"] + place["width"] - 20, place["y"] + 150, steps=6)
    reading.page.mouse.up()
    assert approximate.locator(".draw-curve .mine").get_attribute("d") != before
    box.focus()
    by_mouse = approximate.locator(".draw-curve .mine").get_attribute("d")
    reading.page.keyboard.press("ArrowUp")
    assert approximate.locator(".draw-curve .mine").get_attribute("d") != by_mouse
    approximate.get_by_label("Neurons").fill("32")
    says(approximate, "32 neurons, 97 parameters")


def test_figures_follow_the_drawing(reading: Any) -> None:
    permuted = figure(reading, "permuted")
    permuted.locator(".live-note", has_text="Nothing is drawn").wait_for()
    reading.seven()
    reading.settled()
    permuted.locator(".live-note").wait_for(state="hidden")
    cells = permuted.locator("tbody td").all_inner_texts()
    assert cells[0] == cells[1] and cells[4] == cells[5]  # the dense and the linear one, shuffled with their weights
    assert all(cells[k].startswith("7, ") for k in (0, 2, 4)) and cells[2] != cells[3]

    slide = figure(reading, "slide")
    slide.get_by_label("Stride").press("ArrowRight")
    says(slide, "Size of the map: ⌊(28 + 2·0 − 3) / 2⌋ + 1 = 13. 55 pixels are never covered")
    step = int(slide.locator(".live-total").inner_text().split()[1])
    slide.get_by_role("button", name="One step on").click()
    says(slide, f"Step {step % 169 + 1} of 169")
    slide.get_by_label("Tell it as a story").check()
    reading.get("tale").filter(has_text="into row").wait_for()
    shifts = figure(reading, "shifts")
    shifts.locator("td", has_text="7, ").first.wait_for()
    same = [int(text.split()[0]) for text in shifts.locator("tbody td:last-child").all_inner_texts()]
    assert same[0] == max(same) and 0 < min(same) < 289  # the CNN stays with its 7 at most places
    place = shifts.locator("canvas").nth(1).bounding_box()
    shifts.locator("canvas").nth(1).click(position={"x": place["width"] * 13.5 / 17, "y": place["height"] * 4.5 / 17})
    shifts.locator("th", has_text="moved: 5 to the right and 4 up").wait_for()
    sizes = figure(reading, "sizes")
    assert "expected 784 inputs, got 1600" in sizes.locator("dd").first.inner_text()
    ways = sizes.locator("dt", has_text="Dense network, ").locator("xpath=../dd").all_inner_texts()
    assert len(ways) == 2 and ways[1].startswith("reads 7, ")
    for name in ("several", "channels", "fields", "whole", "polarity"):
        figure(reading, name)
    says(reading.page.locator("figure[data-live=whole]"), "The answer: 7, ")
    pictures_have_their_numbers(reading)


def pictures_have_their_numbers(desk: Any) -> None:
    """Each a table, unfolded on demand."""
    drawn, exchanged = (unfolded(desk, "polarity-figures", name) for name in ("As drawn", "Exchanged"))
    for one, other in zip(drawn, exchanged, strict=True):
        assert len(one) == len(other) == len(drawn) + 1 == 29
        assert all(float(a) + float(b) == pytest.approx(1, abs=0.011) for a, b in zip(one[1:], other[1:], strict=True))
    sheet = unfolded(desk, "sizes-figures")
    assert len(sheet) == 40 and all(len(row) == 41 for row in sheet)
    names = desk.get("whole-figures-choice")
    assert names.is_hidden()  # folded
    for name, side in {"slide": 28, "several": 26, "channels": 13, "fields": 28, "permuted": 28, "shifts": 28}.items():
        assert [len(unfolded(desk, f"{name}-figures")), len(unfolded(desk, f"{name}-figures")[0])] == [side, side + 1]
    assert len(unfolded(desk, "channels-figures", "Kernel 5, matrix for map 3")) == 3
    assert len(unfolded(desk, "shifts-figures", "Dense network: its share of 7")) == 17
    table = unfolded(desk, "whole-figures")
    assert len(table) == 26 and len(table[0]) == 27  # the first map of the first kernels
    last = unfolded(desk, "whole-figures", names.locator("option").last.text_content())
    assert len(last) == 10 and sum(float(row[1]) for row in last) == pytest.approx(1, abs=0.01)


def test_places_have_addresses(reading: Any) -> None:
    page = reading.page
    page.locator(".contents a", has_text="Stride and padding").click()
    page.wait_for_function("location.hash.startsWith('#article?at=stride')")
    page.locator(".contents a", has_text="Flatten").click()
    page.wait_for_function("location.hash.includes('at=flatten')")
    assert page.evaluate("document.activeElement.textContent") == "Flatten"
    page.evaluate("location.hash = '#article?at=kernel'")
    page.wait_for_function(
        "Math.abs(document.getElementById('article-kernel').getBoundingClientRect().top) < innerHeight / 3"
    )
    page.go_back()
    page.wait_for_function("document.getElementById('article-kernel').getBoundingClientRect().top < -innerHeight")


def test_the_numbers_are_computed_again_in_the_tab(reading: Any) -> None:
    reading.get("facts-again").click()
    reading.page.locator("[data-testid=facts-said]", has_text="numbers computed again").wait_for(timeout=60_000)
    said = reading.get("facts-said").inner_text()
    assert "All agree" in said and int(said.split()[0]) > 80


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_access(reading: Any, axe: str, scheme: str) -> None:
    reading.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    figure(reading, "channels")
    assert violations(reading, axe) == []
    for width in (390, 320):
        reading.page.set_viewport_size({"width": width, "height": 800})
        no_sideways_scroll(reading)
    assert violations(reading, axe) == []


def test_the_text_stands_on_its_own(reading: Any) -> None:
    alone = reading.page.context.new_page()
    alone.goto(reading.origin + "article/index.html")
    assert "78\u202f500 parameters" in alone.locator("#article-neuron").inner_text()
    assert alone.evaluate("document.querySelectorAll('script').length") == 0
    alone.close()
