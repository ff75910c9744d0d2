"""Sizes, themes and access: 320 px, zoom, dark, reduced motion, the axe rules, views that are not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from looks import no_sideways_scroll, violations

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]
# four sevens side by side: the answer is longer, each digit has its frame and its button
SEVENS = [[(2 + 6.3 * k + (x - 8) * 0.4, 8 + (y - 7) * 0.6) for x, y in SEVEN] for k in range(4)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_axe_finds_nothing(request: pytest.FixtureRequest, axe: str, scheme: str, device: str) -> None:
    desk = request.getfixturevalue("desk" if device == "desktop" else "phone")
    desk.page.emulate_media(color_scheme=scheme)
    try:
        assert violations(desk, axe) == []  # blank
        desk.stroke(SEVEN)
        desk.rested()
        desk.get("samples").click()
        desk.page.locator(".gallery-image").first.wait_for()
        desk.page.locator("#numbers summary").click()
        desk.page.wait_for_function("document.querySelectorAll('[role=gridcell]').length === 784")
        assert violations(desk, axe) == []  # everything unfolded
        desk.page.evaluate("pad.clear()")
        desk.width(10)
        desk.strokes(SEVENS)
        desk.rested()
        desk.get("place-1").click()
        desk.get("stage-centre").click()
        desk.page.wait_for_function("document.getElementById('stages').dataset.without === 'centre'")
        assert violations(desk, axe) == []  # a number, its second digit looked at, a step switched off
        desk.get("stage-centre").click()
        desk.page.locator("#numbers summary").click()
        desk.get("samples").click()
        desk.get("help").click()
        assert violations(desk, axe) == []  # the dialog
        desk.page.keyboard.press("Escape")
    finally:
        desk.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("width", [320, 390, 640, 768, 1024, 1440])
def test_no_width_scrolls_sideways(desk: Any, width: int) -> None:
    # 640 px is also what a 1280-px window has at 200 % zoom
    desk.stroke(SEVEN)
    desk.rested()
    try:
        desk.page.set_viewport_size({"width": width, "height": 700})
        no_sideways_scroll(desk)
        desk.get("samples").click()
        desk.page.locator(".gallery-image").first.wait_for()
        no_sideways_scroll(desk)
        desk.get("samples").click()
        for name in ("pad", "undo", "clear", "image", "theme", "help"):
            box = desk.get(name).bounding_box()
            assert box["width"] >= 24 and box["height"] >= 24 and box["x"] >= 0 and box["x"] + box["width"] <= width
        links = desk.page.evaluate(
            """[...document.querySelectorAll("a.asked")].map((link) => {
                const box = link.getBoundingClientRect();
                return [box.width, box.height, box.left, innerWidth - box.right];
            })"""
        )
        assert len(links) == 12  # the answer's and the eleven bars'
        for wide, high, left, right in links:
            assert wide >= 24 and high >= 24 and left >= 0 and right >= 0
        pad = desk.get("pad").bounding_box()
        assert pad["width"] == pytest.approx(pad["height"], abs=1)
    finally:
        desk.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_a_number_has_room(desk: Any, width: int) -> None:
    try:
        desk.page.set_viewport_size({"width": width, "height": 700})
        desk.width(10)
        desk.strokes(SEVENS)
        desk.rested()
        no_sideways_scroll(desk)
        assert len(desk.answer()) == 4
        answer, words = desk.get("answer").bounding_box(), desk.page.locator(".verdict-words").bounding_box()
        assert answer["x"] >= 0 and answer["x"] + answer["width"] <= words["x"]
        assert words["x"] + words["width"] <= width
        assert words["width"] >= 150  # the sentence still has lines one can read
        for k in range(4):
            box = desk.get(f"place-{k}").bounding_box()
            assert box["width"] >= 24 and box["height"] >= 24 and box["x"] + box["width"] <= width
    finally:
        desk.page.set_viewport_size({"width": 1280, "height": 900})


def test_on_a_phone_the_answer_stands_above_the_pad(phone: Any) -> None:
    answer, pad = phone.get("answer").bounding_box(), phone.get("pad").bounding_box()
    assert answer["y"] + answer["height"] <= pad["y"] + 1
    assert pad["y"] + pad["height"] <= 844  # both in sight without scrolling
    assert pad["height"] <= 0.6 * 844
    assert pad["x"] >= 24  # a gutter beside it, to scroll by
    no_sideways_scroll(phone)


def test_nothing_moves_when_the_answer_changes(desk: Any) -> None:
    script = """() => ['pad', 'share', 'answer-note', 'bars', 'stages', 'models'].map((id) => {
        const box = document.getElementById(id).getBoundingClientRect();
        return [box.x, box.y, box.height];
    })"""
    blank = desk.page.evaluate(script)
    desk.stroke(SEVEN)
    desk.rested()
    assert desk.page.evaluate(script) == blank
    desk.stroke([(5, 12), (23, 22)])
    desk.rested()
    assert desk.page.evaluate(script) == blank
    desk.page.evaluate("pad.clear()")
    desk.width(10)
    desk.strokes(SEVENS)
    desk.rested()
    number = desk.page.evaluate(script)  # wider than a digit: the words beside it make room, nothing moves up or down
    assert [box[1:] for box in number] == [box[1:] for box in blank]


def test_dark_follows_the_system_and_the_choice_is_kept(desk: Any) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = desk.page.evaluate(paper)
    try:
        desk.page.emulate_media(color_scheme="dark")
        dark = desk.page.evaluate(paper)
        assert dark != light
        desk.stroke([(14, 5), (14, 23)])
        desk.settled()
        centre = "[...pad.canvas.getContext('2d').getImageData(pad.canvas.width / 2, pad.canvas.width / 2, 1, 1).data]"
        assert min(desk.page.evaluate(centre)) > 200  # light ink on dark paper
        desk.get("theme").click()
        assert desk.page.evaluate(paper) == light
        assert max(desk.page.evaluate(centre)[:3]) < 60  # the ink has followed
        desk.get("theme").click()
        assert desk.page.evaluate("localStorage.getItem('handlens.theme')") == "dark"
        desk.page.emulate_media(color_scheme="light")
        assert desk.page.evaluate(paper) == dark
    finally:
        desk.page.emulate_media(color_scheme="light")
        desk.page.evaluate("localStorage.removeItem('handlens.theme'), delete document.documentElement.dataset.theme")


def test_focus_is_visible_and_follows_the_reading_order(desk: Any) -> None:
    desk.stroke(SEVEN)
    desk.rested()
    desk.page.locator(".skip").focus()
    order = []
    for _ in range(13):
        desk.page.keyboard.press("Tab")
        order.append(
            desk.page.evaluate(
                """() => {
                    const style = getComputedStyle(document.activeElement);
                    const name = document.activeElement.dataset.testid || document.activeElement.className;
                    return [name, style.outlineStyle, style.outlineWidth];
                }"""
            )
        )
    tools = ["share-of", "meant", "pad", "undo", "redo", "clear", "eraser", "width"]
    assert [name for name, *_ in order] == ["view-draw", "view-inside", "view-article", "theme", "help", *tools]
    assert all(kind == "solid" and width == "2px" for _, kind, width in order)


def test_reduced_motion_is_respected(desk: Any) -> None:
    duration = "getComputedStyle(document.querySelector('.ghost')).transitionDuration"
    assert desk.page.evaluate(duration) != "0s"
    desk.page.emulate_media(reduced_motion="reduce")
    assert desk.page.evaluate(duration) == "0s"
    desk.page.emulate_media(reduced_motion="no-preference")


def test_views_still_to_come_do_not_show(desk: Any) -> None:
    text = desk.page.locator("body").inner_text()
    named = desk.page.evaluate("[...document.querySelectorAll('#views a')].map((link) => link.innerText)")
    assert named == ["Draw", "Look inside", "Article"]
    for view in ("Train", "Compare"):
        assert view not in text
    assert "never leaves this tab" in text
    own = "[...document.links].filter((link) => link.origin === location.origin).map((link) => link.href)"
    for link in desk.page.evaluate(own):  # no click leads nowhere; the article's sources are other people's
        assert desk.page.evaluate("(link) => fetch(link).then((r) => r.ok)", link) or link.endswith("#pad")
