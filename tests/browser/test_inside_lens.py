"""The lens and what it writes: one scale for both poolings, the map it stays on, what it never reads, and the arrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from looks import at, no_sideways_scroll, read, table, unfolded, violations

# How dark each cell of a plate is painted, row by row: the first pixel of each, from paper on.
DARK = """([name, side]) => {
  const canvas = document.querySelector(`[data-testid="${name}"] canvas`), zoom = canvas.width / side;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, found = [];
  for (let y = 0; y < side; y += 1)
    for (let x = 0; x < side; x += 1) found.push(255 - pixels[4 * (y * zoom * canvas.width + x * zoom)]);
  return found;
}"""
# Numbers of the matrices that do not stand in their cell, in one line.
CUT = """() => [...document.querySelectorAll(".equation td")].filter((td) => {
  const range = document.createRange(), cell = td.getBoundingClientRect();
  range.selectNodeContents(td);
  const [text, ...more] = range.getClientRects();
  return more.length || text.left < cell.left || text.right > cell.right;
}).map((td) => td.textContent)"""
PLACES = """(name) => [...document.querySelectorAll(name)].map((found) => {
  const box = found.getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom];
})"""


def go(desk: Any, layer: str, cell: str, more: str = "") -> None:
    desk.page.evaluate(f"location.hash = '#inside?layer={layer}&cell={cell}{more}'")
    at(desk, f"{layer} cell {cell}")


def places(desk: Any, selector: str) -> list[list[float]]:
    return desk.page.evaluate(PLACES, selector)


def step(desk: Any) -> None:
    """One step of the lens, with its answer."""
    before = desk.page.evaluate("document.getElementById('inside-view').dataset.shown")
    desk.get("lens-next").click()
    shown = "document.getElementById('inside-view').dataset.shown"
    desk.page.wait_for_function(f"(before) => {shown} !== before", arg=before)


def test_equal_numbers_of_both_poolings_look_equal(inside: Any) -> None:
    go(inside, "pool1", "0.5.5")
    numbers = [table(unfolded(inside, "lens-figures", name), 12) for name in ("Max pooling", "Average pooling")]
    values, full = np.concatenate([np.ravel(one) for one in numbers]), []
    try:
        for choice in ("map", "layer", "network"):
            inside.get("scale").select_option(choice)
            inside.page.wait_for_timeout(200)
            at(inside, "pool1 cell 0.5.5")
            dark = np.ravel([inside.page.evaluate(DARK, [name, 12]) for name in ("lens-target", "lens-target-2")])
            dark = dark - dark.min()
            slope = float((values * dark).sum() / (values * values).sum())
            assert np.abs(dark - slope * values).max() < 3, choice  # one straight line for the cells of both
            full.append(slope)
        assert full[0] > full[1] > full[2]  # the largest of the network is larger than that of the layer
    finally:
        inside.get("scale").select_option("layer")


def test_the_lens_stays_on_its_map_while_it_slides(inside: Any) -> None:
    go(inside, "conv2", "5.1.2")
    title = inside.get("lens-source").locator("xpath=..").locator("figcaption")
    first, strongest = title.inner_text(), set()
    for _ in range(6):
        step(inside)
        assert title.inner_text() == first
        strongest.add(inside.get("channels").locator("button").first.inner_text())
    assert len(strongest) > 1  # another map adds most elsewhere: it would have jumped
    inside.get("channels").locator("button").nth(5).click()
    inside.page.wait_for_function(
        "(first) => document.querySelector('.plates figcaption').innerText !== first", arg=first
    )
    chosen = title.inner_text()
    step(inside)
    assert title.inner_text() == chosen
    number = int(chosen.split("map ")[1].split()[0]) - 1
    inside.page.wait_for_function(f"location.hash.includes('channel={number}')")
    go(inside, "conv2", "6.1.2")  # another kernel begins with what adds most to it
    assert inside.get("channels").locator("button").first.get_attribute("aria-current") == "true"


def test_an_arrow_leads_to_the_cell_and_a_frame_says_how_far_the_step_is(inside: Any) -> None:
    page = inside.page
    page.emulate_media(reduced_motion="reduce")  # frames are where they belong at once
    try:
        for layer, cell, stride in (("conv1", "2.8.10", 1), ("pool1", "0.5.5", 2)):
            go(inside, layer, cell)
            (lens,) = places(inside, "[data-testid=lens-source] .frame.lens")
            (after,) = places(inside, "[data-testid=lens-source] .frame.next")
            (to,) = places(inside, "[data-testid=lens-target] .frame.lens")
            size = round((lens[2] - lens[0]) / (after[0] - lens[0]) * stride)
            assert size == page.locator(".matrix").first.locator("tr").count()
            assert after[1:4:2] == pytest.approx(lens[1:4:2], abs=0.5)
            page.wait_for_function("document.querySelector('.arrow .line').getAttribute('d')")
            (arrow,) = places(inside, ".arrow .line")
            assert lens[2] <= arrow[0] <= lens[2] + 6 and to[0] - 8 <= arrow[2] <= to[0]
            assert min(lens[1], to[1]) <= arrow[1] and arrow[3] <= max(lens[3], to[3])
        step(inside)
        (moved,) = places(inside, ".arrow .line")
        assert moved[0] > arrow[0] and moved[2] > arrow[2]
        go(inside, "pool1", "0.11.11")
        assert page.locator(".frame.next").is_hidden()
    finally:
        page.emulate_media(reduced_motion="no-preference")


@pytest.mark.parametrize(("layer", "before"), [("bn1", "conv1"), ("relu1", "bn1")])
def test_a_click_chooses_the_cell_of_a_step_without_a_window(inside: Any, layer: str, before: str) -> None:
    go(inside, layer, "1.3.4")
    for plate, row, column in (("lens-source", 9, 17), ("lens-target", 20, 2)):
        cell = inside.get(plate).bounding_box()["width"] / 24
        inside.get(plate).locator("canvas").click(position={"x": (column + 0.5) * cell, "y": (row + 0.5) * cell})
        at(inside, f"{layer} cell 1.{row}.{column}")
    inside.get("mover").press("ArrowUp")
    at(inside, f"{layer} cell 1.19.2")
    read_there = table(unfolded(inside, "step-figures", f"{before}, map 2" if layer == "bn1" else "x of map 2"), 24)
    shown = inside.get("equation").locator(".num").first.inner_text()
    assert read(shown) == pytest.approx(read_there[19][2], abs=0.006)


def test_a_number_of_the_list_says_from_where_it_is_counted(inside: Any) -> None:
    go(inside, "flatten1", "70")
    assert "its index, counted from 0" in inside.get("equation").inner_text()
    assert "= 70" in inside.get("equation").inner_text()
    told = inside.get("step-note").inner_text()
    assert "index 70, of map 4, row 1, column 2" in told and "number 71, map 5, row 2, column 3" in told
    assert inside.get("mover").inner_text() == "number 71"
    assert inside.get("lens-arrow").is_visible()
    go(inside, "dropout1", "70")  # a list has no map to point at
    assert inside.get("lens-source").count() == 0


def test_on_a_phone_what_belongs_together_stands_side_by_side(new_desk: Callable[..., Any], axe: str) -> None:
    phone = new_desk(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).open()
    phone.seven()
    phone.rested()
    phone.get("view-inside").click()
    at(phone, "whole")
    go(phone, "conv2", "1.4.5")
    for width in (390, 360):
        phone.page.set_viewport_size({"width": width, "height": 844})
        boxes = places(phone, ".equation .matrix")
        assert len(boxes) == 3 and len({round(box[1]) for box in boxes}) == 1
        assert boxes[0][2] < boxes[1][0] and boxes[1][2] < boxes[2][0] and boxes[2][2] <= width
        assert phone.page.evaluate(CUT) == []
        no_sideways_scroll(phone)
    phone.page.set_viewport_size({"width": 320, "height": 844})
    assert phone.page.evaluate(CUT) == []
    no_sideways_scroll(phone)
    go(phone, "conv1", "2.8.10")  # five columns: patch and kernel
    for width in (390, 360):
        phone.page.set_viewport_size({"width": width, "height": 844})
        boxes = places(phone, ".equation .matrix")
        assert boxes[0][1] == boxes[1][1] and boxes[0][2] < boxes[1][0]
        assert phone.page.evaluate(CUT) == []
        no_sideways_scroll(phone)
    assert phone.get("lens-arrow").is_hidden()  # the plates stand one below the other
    assert violations(phone, axe) == []
    go(phone, "relu1", "1.3.4")
    box = phone.get("lens-target").bounding_box()
    phone.get("lens-target").locator("canvas").tap(
        position={"x": 7.5 * box["width"] / 24, "y": 2.5 * box["width"] / 24}
    )
    at(phone, "relu1 cell 1.2.7")
    # a copy that takes any size, whose pooling jumps over cells
    go(phone, "pool1", "0.3.3", "&on=table&free=yes&did=stride:pool1:3")
    for width in (390, 320):
        phone.page.set_viewport_size({"width": width, "height": 844})
        first, second = places(phone, "[data-testid^=lens-target]")
        assert first[1] == second[1] and first[2] < second[0] and second[2] <= width
        no_sideways_scroll(phone)
    words = "Stride 3, no padding. Dashed: the next window, 3 columns on. Hatched: 8 rows and 8 columns that no window "
    assert words + "reads, 320 of 576 cells." in phone.get("left-over").inner_text()
    hatched = phone.page.locator("[data-testid=lens-source] .frame.unread")
    assert hatched.is_visible() and hatched.get_attribute("data-areas") == "16"
    go(phone, "pool1", "0.0.0", "&on=table&free=yes&did=stride:pool1:3")  # paper: all are equal there
    assert "all 4 are equally large: of those the first wins" in phone.get("winner").inner_text()
    assert phone.page.locator("[data-mark=winner]").count() == 1 and phone.page.locator("[data-mark=tied]").count() == 3
    assert violations(phone, axe) == []
    phone.get("crumb-all").click()
    at(phone, "whole")
    average = phone.page.locator(".group > ol > .step:first-child [data-testid^=step-]").all_inner_texts()
    assert any("global" in name or "gap" in name or "average" in name for name in average), average


def test_numbers_fit_a_narrow_phone_and_a_certificate_begins_in_sight(phone: Any) -> None:
    page = phone.page
    page.set_viewport_size({"width": 320, "height": 640})
    phone.seven()
    phone.rested()
    phone.get("view-inside").click()
    at(phone, "whole")
    cut = "[...document.querySelectorAll('.terms')].filter((box) => box.scrollWidth > box.clientWidth).length"
    for layer, cell in (("softmax1", "7"), ("dense1", "7"), ("conv2", "3.4.5")):
        page.evaluate(f"location.hash = '#inside?layer={layer}&cell={cell}&of={layer}:{cell}'")
        at(phone, f"{layer} cell {cell}")
        phone.get("level-0").locator("h4", has_text=layer).wait_for()
        assert page.evaluate(cut) == 0, layer
    go(phone, "pool1", "0.0.0")  # paper: all are equal there
    page.locator(".equation [data-cell='pool1:0.0.0']").tap()
    phone.get("level-0").locator("h4", has_text="pool1").wait_for()
    page.wait_for_function("document.activeElement.matches('.level-title')")
    assert phone.get("level-0").locator("td b").first.inner_text() == "the first of 4 equal"
    dock, head = page.locator(".desk").bounding_box(), phone.get("certificate").bounding_box()
    assert dock["y"] + dock["height"] <= head["y"] <= 320
    phone.get("certificate-close").click()
