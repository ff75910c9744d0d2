"""Look inside: from the whole network to one product and back to the pixels, by mouse and by keyboard alone.

The page is started once for nearly all of it, which takes longer than everything that is then done on it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import at, no_sideways_scroll, read, table, unfolded, violations

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]
SHOWN = "document.getElementById('inside-view').dataset.shown"


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
    read_there, made = (
        table(unfolded(inside, "lens-figures", words)) for words in ("What the lens reads", "Max pooling")
    )
    assert (len(read_there), len(made)) == (24, 12)
    for r, row in enumerate(made):
        pairs = [read_there[2 * r][2 * c : 2 * c + 2] + read_there[2 * r + 1][2 * c : 2 * c + 2] for c in range(12)]
        assert row == pytest.approx([max(pair) for pair in pairs], abs=0.006)
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


def test_play_is_one_loop_and_back_leads_to_where_it_stopped(inside: Any) -> None:
    page = inside.page
    page.evaluate("location.hash = '#inside?layer=conv1&cell=2.0.0'")
    at(inside, "conv1 cell 2.0.0")
    inside.get("lens-speed").select_option("3.0")
    page.evaluate(
        """() => {
          const play = document.querySelector("[data-testid=lens-play]");
          window.begun = performance.now();
          for (let press = 0; press < 5; press++) play.click();
        }"""
    )
    stands = "Number(document.querySelector('[data-testid=lens-scrub]').value)"
    page.wait_for_function(f"{stands} >= 4")
    # four steps with three pauses of a third of a second between; several loops need less, however slow the machine
    took = page.evaluate("performance.now() - begun")
    assert took >= 900, took
    play = inside.get("lens-play")
    assert (play.inner_text(), play.get_attribute("aria-pressed")) == ("Pause", "true")
    inside.get("view-article").click()
    page.wait_for_function("document.documentElement.dataset.view === 'article'")
    page.go_back()
    page.wait_for_function("document.documentElement.dataset.view === 'inside'")
    column = int(page.url.partition("cell=2.0.")[2].split("&")[0])
    assert column >= 4
    at(inside, f"conv1 cell 2.0.{column}")
    assert (play.inner_text(), play.get_attribute("aria-pressed")) == ("Play", "false")
    play.click()
    page.wait_for_function(f"{stands} > {column}")
    play.click()  # and paused, the address follows
    page.wait_for_function(f"location.hash.includes('cell=2.0.' + {stands}) && {stands} > {column}")
    inside.get("crumb-all").click()
    at(inside, "whole")


def test_a_percentage_leads_to_how_it_was_made(inside: Any) -> None:
    page = inside.page
    inside.get("view-draw").click()
    page.wait_for_function("document.documentElement.dataset.view === 'draw'")
    inside.rested()
    numbers_of_bars, share = page.locator("#bars .bar-number"), inside.shares()[7]
    assert (
        numbers_of_bars.nth(7).get_attribute("aria-label")
        == f"How {numbers_of_bars.nth(7).inner_text()} for 7 was made"
    )
    numbers_of_bars.nth(7).click()
    at(inside, "softmax1 cell 7")
    level = inside.get("level-0")
    level.wait_for()
    assert level.locator("h4").inner_text().startswith("softmax1, number 8 (7): ")
    rows = [row.split("\t") for row in level.locator("tbody tr").all_inner_texts()]
    scores, (largest, total, own) = rows[:-3], rows[-3:]
    assert all(row[0].startswith("dense1, number ") and row[0].endswith(")") for row in scores)
    assert largest[0] == "the largest, number 8 (7)" and largest[1] == scores[0][1]
    for row in scores:
        value, shifted, made = (read(row[k]) for k in (1, 3, 4))
        assert shifted == pytest.approx(value - read(largest[1]), abs=2e-4)
        assert made == pytest.approx(2.718281828459045**shifted, rel=0.06, abs=1e-4)
    assert read(total[4]) == pytest.approx(sum(read(row[4]) for row in scores), abs=1e-3)
    assert own[0] == "number 8 (7)" and own[2] == "\u00f7" and own[3] == total[4]
    assert read(own[4]) == pytest.approx(read(own[1]) / read(own[3]), abs=1e-4)
    assert read(own[4]) == pytest.approx(share / 100, abs=1e-4)
    page.go_back()
    page.wait_for_function("document.documentElement.dataset.view === 'draw'")

    assert page.locator("#bars .bar-number[tabindex='0']").count() == 1  # one stop for the tab key
    page.locator("#bars .bar-number[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.getAttribute('aria-label').endsWith(' for 0 was made')")
    page.keyboard.press("Enter")
    at(inside, "softmax1 cell 0")
    page.wait_for_function("document.activeElement.classList.contains('level-title')")
    title = level.locator("h4").inner_text()
    assert title.startswith("softmax1, number 1 (0): ")
    assert 0 < read(title.split(": ")[1]) < 0.01  # however small, it is not "0.0000"
    inside.get("share-of").click()  # the answer stands beside this view, too
    at(inside, "softmax1 cell 7")
    level.locator("h4", has_text="number 8 (7)").wait_for()
    inside.get("tab-why").click()
    at(inside, "why")
    assert inside.get("certificate").is_hidden()
    score, probability = inside.get("why-words").locator("[data-cell]").all()
    for number, layer in ((score, "dense1"), (probability, "softmax1")):
        number.click()
        level.locator("h4", has_text=f"{layer}, number 8 (7)").wait_for()
        assert read(level.locator("h4 b").inner_text()) == pytest.approx(said(number.inner_text()), abs=0.006)


def said(text: str) -> float:
    """The same, or a percentage."""
    return read(text.removesuffix(" %")) / (100 if text.endswith("%") else 1)


def every_term_of_a_neuron(desk: Any) -> None:
    """Forty terms and the others as one; all of them when asked for, for each neuron and drawing."""
    terms, button = desk.page.locator(".terms tbody tr"), desk.get("all-terms")
    assert terms.count() == 41 and "744 smaller terms" in terms.nth(40).inner_text()
    assert button.inner_text() == "Show all 784 terms"
    rest = read(terms.nth(40).locator("td").nth(5).inner_text())
    button.click()
    desk.page.wait_for_selector(".terms[data-full]")
    cells = desk.page.locator(".terms table").evaluate("(t) => [...t.rows].slice(1).map((r) => r.cells[5].innerText)")
    products = [read(text) for text in cells]
    assert len(products) == 784 and [abs(p) for p in products] == sorted(map(abs, products), reverse=True)
    assert sum(products[40:]) == pytest.approx(rest, abs=0.2)  # three decimals are shown
    table(unfolded(desk, "step-figures", "Value \u00d7 weight over input"), 28)
    desk.get("mover").press("ArrowRight")
    at(desk, "dense1.linear cell 1")
    desk.page.wait_for_selector(".terms[data-full]")
    assert terms.count() == 784
    button.click()
    assert terms.count() == 41


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
            more = f"&of={layer}:{cell}" if layer in ("conv4", "softmax1") else ""
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


def test_another_model_closes_what_it_does_not_have_and_the_keyboard_comes_back(inside: Any) -> None:
    page = inside.page
    inside.get("step-softmax1").click()
    at(inside, "softmax1 layer")
    page.evaluate("location.hash = location.hash.replace('layer=softmax1', 'of=softmax1:10~dense1:10')")
    inside.get("level-1").wait_for()
    inside.get("inside-model").select_option("ann")
    inside.get("certificate").wait_for(state="hidden")
    told = "ann has no number softmax1:10: what was unfolded from it is closed."
    page.wait_for_function("(told) => document.getElementById('inside-view').textContent.includes(told)", arg=told)
    assert "of=" not in page.evaluate("location.hash")
    inside.get("step-dense1").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(SHOWN + ".startsWith('dense1')")
    page.keyboard.press("Escape")
    at(inside, "whole")
    page.wait_for_function("document.activeElement.dataset.testid === 'step-dense1'")


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
    share = said(inside.get("share-of").inner_text())
    for place in (0, 1):  # the answer's share is that of its weakest digit, whichever is looked at
        inside.get(f"inside-place-{place}").click()
        page.locator(f"[data-testid=inside-place-{place}][aria-pressed=true]").wait_for()
        inside.get("share-of").click()
        page.wait_for_function(SHOWN + ".startsWith('softmax1 cell ')")
        page.wait_for_function(
            """(share) => {
              const made = document.querySelector('[data-testid=level-0] h4 b');
              return made && Math.abs(Number(made.textContent) - share) < 0.001;
            }""",
            arg=share,
        )
        page.go_back()
        page.wait_for_function(SHOWN + ".startsWith('conv1 cell 0.')")
