"""Why this answer, and the operating table: change the network, read what that does, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from looks import at, no_sideways_scroll, table, unfolded, violations

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]


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
        if row[0].startswith("\u2026"):
            continue
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
    assert "7 (" in inside.get("compare-answers").inner_text()
    original, changed, moved = (
        table(unfolded(inside, "compare-figures", name)) for name in ("Original", "Changed", "Difference")
    )
    assert changed[5][5] - original[5][5] == pytest.approx(moved[5][5], abs=0.02)
    page.wait_for_function("document.querySelector('[data-testid=compare-words]').textContent.startsWith('pool1')")
    inside.get("table-undo").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=table-changes] li').length === 0")
    page.wait_for_function("document.getElementById('live').textContent.startsWith('Taken back: conv1 kernel 1')")
    inside.get("table-layer").select_option("conv1")
    page.wait_for_function(f"document.querySelector('[data-testid=weight-2-2]')?.value === '{before}'")


def test_the_table_without_a_drawing_and_with_what_is_no_weight(inside: Any) -> None:
    page = inside.page
    inside.get("tab-why").click()
    inside.get("why-words").wait_for()
    inside.get("clear").click()
    page.wait_for_function("document.getElementById('inside-view').textContent.includes('Draw a digit first')")
    assert inside.get("inside-body").inner_text() == ""  # what was said of the seven has gone with it
    inside.get("tab-table").click()
    field = inside.get("weight-1-1")
    field.wait_for()
    assert inside.get("inside-note").inner_text() == "Nothing is drawn: the network sees zeros."
    assert not inside.get("table-long").is_visible()
    kept, refused = field.input_value(), inside.get("table-refused")
    at(inside, "table")
    for typed, said in (
        ("nan", "\u201cnan\u201d is not"),
        ("1e400", "\u201c1e400\u201d is not"),
        ("", "An empty field is not"),
    ):
        field.fill(typed)
        field.press("Enter")
        refused.filter(has_text=said).wait_for()
        assert field.input_value() == kept
    inside.stroke(SEVEN)
    at(inside, "table")
    assert refused.inner_text().startswith("An empty field is not")  # another answer does not take the sentence away
    inside.get("clear").click()
    at(inside, "table")
    field.fill("3e38")  # every value behind it would overflow
    field.press("Enter")
    refused.filter(has_text="a weight from").wait_for()
    assert refused.inner_text() == "a weight from -10000 to 10000 is needed; got 3e+38"
    page.wait_for_function("(kept) => document.querySelector('[data-testid=weight-1-1]').value === kept", arg=kept)
    field.fill("7")
    field.press("Escape")
    assert field.input_value() == kept and inside.get("table-layer").is_visible()
    field.fill("7")
    field.press("Enter")
    page.wait_for_function("document.querySelector('[data-testid=compare-answers]').textContent.startsWith('An empty')")
    inside.get("table-undo").click()
    page.wait_for_function("(kept) => document.querySelector('[data-testid=weight-1-1]').value === kept", arg=kept)
    inside.get("inside-model").select_option("linear")
    refused.filter(has_text="linear has no kernel").wait_for()
    assert not inside.get("table-layer").is_visible()


def test_what_stands_beside_a_kernel_and_another_size(inside: Any) -> None:
    page = inside.page
    inside.get("step-conv1").click()
    at(inside, "conv1 layer")
    inside.get("made").locator("> summary").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=made] figure').length === 9")
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
    inside.get("sizes").locator("> summary").click()
    inside.get("feed").click()
    page.wait_for_function("document.querySelector('[data-testid=sized] .refused')")
    assert "28" in inside.get("sized").inner_text() and "40" in inside.get("sized").inner_text()
    inside.get("feed-any").click()
    page.wait_for_function(
        "document.querySelector('[data-testid=sized]').textContent.includes('It reads')", timeout=90_000
    )
    side = [row[1:] for row in unfolded(inside, "sized-figures")]
    assert len(side) == len(side[0]) == 40
    said = inside.get("sized").inner_text()
    inside.get("clear").click()  # what stands there is of the drawing as it is
    inside.get("sized").filter(has_text="An empty sheet: it reads").wait_for()
    assert inside.get("sized").inner_text() != said
    inside.stroke([(14, 6), (14, 22)])
    inside.get("sized").filter(has_text="It reads 1").wait_for()
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
    assert " % in the averaging copy as it was made: " in right
    assert " in the averaging copy as it was made; " in desk.get("compare-answers").inner_text()
    address = page.url.partition("#")[2]
    desk.get("table-look").click()
    at(desk, "whole")
    page.evaluate("location.hash += '&layer=conv1&cell=3.4.5'")
    at(desk, "conv1 cell 3.4.5")
    shown = desk.get("equation").inner_text()
    other = new_desk().open("#" + address, ready=False)  # the table elsewhere, while this page comes again
    page.reload()
    desk.ready()
    at(desk, "conv1 cell 3.4.5")
    assert desk.get("equation").inner_text() == shown  # of the changed network, on the same drawing
    assert desk.get("changed-copy").get_attribute("aria-pressed") == "true"
    desk.get("tab-table").click()
    at(desk, "table")
    assert changes.count() == 2
    other.ready()
    at(other, "table")
    assert other.get("table-changes").locator("li").count() == 2 and other.get("table-kernel").input_value() == "4"
    measured = other.get("table-measured")
    measured.filter(has_text="test images,").wait_for(timeout=60_000)
    assert measured.inner_text() == right
    another_size_and_another_engine_leave_the_changes(desk, lambda: the_class_asked_about_survives_a_reload(other))


def the_class_asked_about_survives_a_reload(desk: Any) -> None:
    """Back at the network itself, and why it did not answer 3."""
    page = desk.page
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


def another_size_and_another_engine_leave_the_changes(desk: Any, meanwhile: Callable[[], None]) -> None:
    """The copy of a size that one asks for is not the one on the table, and a new engine is told what was done. That an
    engine is gone is noticed by a silence of 15 seconds, which are used for what another page has to do `meanwhile`."""
    desk.get("sizes").locator("> summary").click()
    desk.get("side").fill("48")
    desk.get("feed-any").click()
    desk.get("sized").filter(has_text="It reads 7").wait_for(timeout=60_000)
    changes = desk.get("table-changes").locator("li")
    desk.get("table-zero").click()
    changes.nth(2).wait_for()
    desk.page.evaluate("document.querySelector('script[type=py]').xworker.terminate()")
    desk.stroke([(5, 24), (6, 24)])
    meanwhile()
    desk.page.wait_for_selector("html[data-engine=failed]", timeout=60_000)
    desk.get("again").click()
    desk.ready()
    desk.get("undo").click()
    at(desk, "table")
    desk.get("table-undo").click()
    desk.page.wait_for_function("document.querySelectorAll('[data-testid=table-changes] li').length === 2")
    assert desk.get("table-redo").get_attribute("title").startswith("conv1 kernel 4: silenced")
