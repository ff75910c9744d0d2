"""The pad and what belongs to it: ink, undo, eraser, keys, touch, pictures, numbers, links."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

BLANK = "Draw a digit, 0 to 9."


# -- ink ---------------------------------------------------------------------------------------------------------------
def test_a_blank_pad_is_no_digit(desk: Any) -> None:
    assert (desk.answer(), desk.note()) == ("?", BLANK)
    assert desk.shares() == [0.0] * 10


def test_undo_redo_clear(desk: Any) -> None:
    desk.stroke([(8, 7), (19, 7)])
    one = desk.flat()
    desk.stroke([(19, 7), (14, 21)])
    two = desk.flat()
    answer = desk.settled()
    desk.get("undo").click()
    assert desk.flat() == one
    desk.page.keyboard.press("Control+z")
    assert desk.flat() == []
    assert desk.settled() == "?"
    desk.page.keyboard.press("Control+Shift+z")
    desk.get("redo").click()
    assert desk.flat() == two
    assert desk.settled() == answer
    desk.get("clear").click()
    assert desk.flat() == []
    desk.settled()
    assert (desk.answer(), desk.note()) == ("?", BLANK)
    desk.get("undo").click()  # clearing can be undone, too
    assert desk.flat() == two


def test_the_eraser_takes_ink_away(desk: Any) -> None:
    desk.seven()
    before = desk.settled()
    desk.stroke([(6, 21), (22, 23)])  # a line that no 7 has
    spoiled = desk.shares()[7]
    desk.settled()
    spoiled = desk.shares()[7]
    desk.get("eraser").click()
    desk.width(40)
    desk.stroke([(5, 22), (10, 22.6)])
    desk.stroke([(18, 22.8), (24, 23.3)])
    desk.settled()
    assert desk.shares()[7] != spoiled
    for row in (4, 8, 12, 16, 20, 24):
        desk.stroke([(2, row), (26, row)])
    desk.settled()
    assert before != ""
    assert (desk.answer(), desk.note()) == ("?", BLANK)  # ink that is all erased is no ink
    desk.get("eraser").click()


def test_the_answer_follows_the_pen_and_the_latest_ink_wins(desk: Any) -> None:
    desk.page.evaluate(
        """() => {
            window.answered = [];
            const answer = document.getElementById('answer');
            window.follower = new MutationObserver(() => {
                const version = Number(answer.dataset.version);
                if (version !== window.answered.at(-1)) window.answered.push(version);
            });
            window.follower.observe(answer, {attributes: true, attributeFilter: ['data-version']});
        }"""
    )
    start = desk.page.evaluate("pad.version()")
    desk.stroke([(8, 7), (12, 7)], lift=False)
    desk.page.wait_for_function(f"answered.length > 0 && answered.at(-1) > {start} && pad.busy()")  # while it is down
    across = [(12 + 7.5 * step / 40, 7.0) for step in range(40)]
    down = [(19.5 - 6 * step / 80, 7 + 14.5 * step / 80) for step in range(80)]
    desk.lift()
    desk.stroke(across + down)  # far faster than any engine reads
    desk.settled()
    answered, end = desk.page.evaluate("follower.disconnect(), [answered, pad.version()]")
    changes = end - start
    assert answered == sorted(answered)  # never an older answer after a newer one
    assert answered[-1] == start + changes
    assert len(answered) < changes  # not one request for every point
    live = desk.shares()
    desk.page.evaluate("pad.undo(), pad.redo()")  # the same ink, read afresh and alone
    desk.settled()
    assert desk.shares() == live


def test_ink_stays_sharp_and_in_place_when_the_window_changes(desk: Any) -> None:
    desk.seven()
    before, answer = desk.flat(), desk.settled()
    desk.page.set_viewport_size({"width": 800, "height": 700})
    try:
        desk.page.wait_for_function("pad.canvas.width === Math.round(pad.canvas.clientWidth * devicePixelRatio)")
        inked = desk.page.evaluate(
            """() => {
                const at = (u, v) => pad.canvas.getContext('2d').getImageData(
                    u * pad.canvas.width / 28, v * pad.canvas.width / 28, 1, 1).data[3];
                return [at(13, 7), at(15, 17), at(5, 20)];
            }"""
        )
        assert inked == [255, 255, 0]
        assert desk.flat() == before
        assert desk.answer() == answer
    finally:
        desk.page.set_viewport_size({"width": 1280, "height": 900})


# -- keys --------------------------------------------------------------------------------------------------------------
def test_a_seven_by_keyboard_alone(desk: Any) -> None:
    keys = desk.page.keyboard
    desk.page.locator(".skip").focus()  # the first stop of the page
    for _ in range(8):
        keys.press("Tab")
        if desk.page.evaluate("document.activeElement.id") == "pad":
            break
    assert desk.page.evaluate("document.activeElement.id") == "pad"
    for key in ["ArrowLeft"] * 28 + ["ArrowUp"] * 28 + ["ArrowRight"] * 8 + ["ArrowDown"] * 6:
        keys.press(key)
    keys.press(" ")
    for key in ["Shift+ArrowRight"] * 11 + [
        "Shift+ArrowDown",
        "Shift+ArrowDown",
        "Shift+ArrowDown",
        "Shift+ArrowLeft",
    ] * 4:
        keys.press(key)
    assert desk.settled() == "7"
    assert desk.page.evaluate("window.scrollY") == 0  # the keys of the pad do not scroll the page
    keys.press("Backspace")
    desk.settled()
    assert desk.flat()[-3:-2] == [1.0]  # an erasing dot


def test_keys_open_the_list_that_names_them(desk: Any) -> None:
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("?")
    sheet = desk.page.locator("dialog[open]")
    for words in ("Undo", "Clear", "Eraser", "Shift + arrow key", "Light or dark"):
        assert sheet.get_by_text(words, exact=True).count() == 1
    sheet.get_by_role("checkbox").uncheck()
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("dialog[open]").count() == 0
    desk.page.keyboard.press("e")  # single keys are off now
    assert desk.get("eraser").get_attribute("aria-pressed") == "false"
    desk.get("help").click()
    sheet.get_by_role("checkbox").check()
    desk.page.keyboard.press("Escape")
    desk.page.evaluate("document.activeElement.blur()")
    desk.page.keyboard.press("e")
    assert desk.get("eraser").get_attribute("aria-pressed") == "true"


def test_the_answer_is_spoken_once_it_settles(desk: Any) -> None:
    desk.seven()
    desk.settled()
    desk.page.wait_for_function(
        "document.getElementById('live').textContent === document.getElementById('answer-note').textContent"
    )
    desk.get("clear").click()
    desk.page.wait_for_function(f"document.getElementById('live').textContent === '{BLANK}'")


# -- pictures ----------------------------------------------------------------------------------------------------------
def picture(image: np.ndarray, dark_on_light: bool, size: tuple[int, int], kind: str = "PNG") -> bytes:
    """A digit of MNIST as a picture file: enlarged, on a larger sheet, in either polarity."""
    digit = Image.fromarray(image).resize((size[0] // 2, size[0] // 2), Image.Resampling.BICUBIC)
    sheet = Image.new("L", size, 0)
    sheet.paste(digit, (size[0] // 4, size[1] // 5))
    pixels = np.asarray(sheet)
    out = io.BytesIO()
    Image.fromarray(255 - pixels if dark_on_light else pixels).save(out, kind)
    return out.getvalue()


def choose(desk: Any, name: str, data: bytes, kind: str = "image/png") -> None:
    desk.page.get_by_test_id("file").set_input_files({"name": name, "mimeType": kind, "buffer": data})


@pytest.mark.parametrize("dark_on_light", [True, False], ids=["dark on light", "light on dark"])
def test_an_image_file_of_any_size_and_polarity(desk: Any, mnist_test: Any, dark_on_light: bool) -> None:
    images, labels = mnist_test
    for number, size, kind in ((0, (640, 480), "PNG"), (1, (200, 300), "JPEG"), (4, (1600, 1300), "PNG")):
        desk.page.evaluate("pad.clear()")
        choose(desk, f"digit {number}.png", picture(images[number], dark_on_light, size, kind), f"image/{kind.lower()}")
        desk.page.wait_for_function("pad.kind() === 'picture'")
        assert desk.settled() == str(labels[number])
    assert desk.get("notice").is_hidden()
    desk.rested()
    assert desk.get("step-crop").evaluate("(canvas) => canvas.width") > 28  # a file shows its steps, as ink does


def test_a_file_that_is_no_image_gets_a_sentence(desk: Any) -> None:
    desk.seven()
    before, answer = desk.flat(), desk.settled()
    for name, data, words in (
        ("notes.png", b"this is no image", "notes.png is not an image"),
        ("empty.png", b"", "empty.png is not an image"),
        ("cut.png", picture(np.eye(28, dtype=np.uint8) * 255, True, (300, 300))[:200], "cut.png is not an image"),
        ("grey.png", picture(np.zeros((28, 28), np.uint8), True, (300, 300)), "grey.png shows nothing to read"),
    ):
        choose(desk, name, data)
        desk.page.wait_for_function(
            "(words) => document.getElementById('notice').textContent.includes(words)", arg=words
        )
        assert (desk.flat(), desk.answer()) == (before, answer)  # the drawing is kept
    desk.stroke([(5, 5), (6, 6)])
    desk.page.wait_for_function("document.getElementById('notice').hidden")


def test_images_can_be_dropped_and_pasted(desk: Any, mnist_test: Any) -> None:
    images, labels = mnist_test
    script = """([name, data, event, field]) => {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, {type: 'image/png'}));
        const make = event === 'paste' ? ClipboardEvent : DragEvent;
        document.getElementById('pad').dispatchEvent(
            new make(event, {bubbles: true, cancelable: true, [field]: transfer}));
    }"""
    for number, event, field in ((2, "drop", "dataTransfer"), (3, "paste", "clipboardData")):
        data = base64.b64encode(picture(images[number], True, (300, 300))).decode()
        desk.page.evaluate("pad.clear()")
        desk.page.evaluate(script, [f"{event}.png", data, event, field])
        desk.page.wait_for_function("pad.kind() === 'picture'")
        assert desk.settled() == str(labels[number])


def test_ink_on_a_picture_starts_afresh_and_undo_brings_it_back(desk: Any, gallery: list[dict[str, Any]]) -> None:
    desk.get("samples").click()
    desk.get(f"sample-{gallery[0]['number']}").click()
    picture_answer = desk.settled()
    desk.get("samples").click()
    values = desk.page.evaluate("Array.from(pad.values())")
    desk.stroke([(14, 5), (14, 22)])
    assert desk.page.evaluate("pad.kind()") == "ink"
    desk.get("undo").click()
    assert desk.page.evaluate("Array.from(pad.values())") == values
    assert desk.settled() == picture_answer


# -- the numbers -------------------------------------------------------------------------------------------------------
def test_the_784_numbers_can_be_read_and_edited(desk: Any) -> None:
    keys = desk.page.keyboard
    desk.seven()
    desk.rested()
    desk.page.locator("#numbers summary").click()
    grid = desk.get("grid")
    cells = grid.get_by_role("gridcell")
    cells.first.wait_for(timeout=60_000)  # built when the browser says that it is unfolded
    assert cells.count() == 784
    seen = desk.page.evaluate(
        "[...document.querySelectorAll('[role=gridcell]')].map((cell) => Number(cell.textContent))"
    )
    desk.page.wait_for_function(
        "[...document.querySelectorAll('[role=gridcell]')].some((cell) => Number(cell.textContent) > 0.9)"
    )
    seen = desk.page.evaluate(
        "[...document.querySelectorAll('[role=gridcell]')].map((cell) => Number(cell.textContent))"
    )
    assert 30 < sum(value > 0 for value in seen) < 300
    cells.nth(0).click()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "0", ".", "5", "Enter"):
        keys.press(key)
    assert desk.page.evaluate("document.activeElement.textContent") in (".50", "0")
    desk.settled()
    values = desk.page.evaluate("Array.from(pad.values())")
    assert values[2 * 28 + 1] == 0.5
    desk.rested()
    assert cells.nth(2 * 28 + 1).inner_text() == ".50"
    keys.press("Enter")
    keys.type("9")
    keys.press("Escape")  # kept as it was
    assert desk.page.evaluate("Array.from(pad.values())") == values
    keys.type("x")  # no number: nothing happens
    keys.press("Control+Home")
    assert desk.page.evaluate("document.activeElement.getAttribute('aria-colindex')") == "1"
    desk.page.locator("#numbers summary").click()
    desk.get("undo").click()
    assert desk.page.evaluate("pad.kind()") == "ink"


# -- touch -------------------------------------------------------------------------------------------------------------
def swipe(desk: Any, x: float, start: float, end: float) -> None:
    """One finger, down the screen, by the browser's own touch input."""
    session = desk.page.context.new_cdp_session(desk.page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": start}]})
    for step in range(1, 13):
        y = start + (end - start) * step / 12
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()
    desk.page.wait_for_timeout(300)


def test_touch_draws_and_does_not_scroll(phone: Any) -> None:
    box = phone.box()
    phone.page.evaluate("window.scrollTo(0, 40)")
    box = phone.get("pad").bounding_box()
    middle = box["x"] + box["width"] / 2
    swipe(phone, middle, box["y"] + 0.85 * box["height"], box["y"] + 0.15 * box["height"])
    assert phone.page.evaluate("window.scrollY") == 40
    assert len(phone.flat()) > 10
    assert phone.settled() == "1"
    swipe(phone, 4, box["y"] + 0.85 * box["height"], box["y"] + 0.15 * box["height"])  # beside the pad a finger scrolls
    assert phone.page.evaluate("window.scrollY") > 40
    phone.page.evaluate("window.scrollTo(0, 0)")


# -- links and storage -------------------------------------------------------------------------------------------------
def test_a_reload_and_a_link_come_back_to_the_same_drawing(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open("?backend=abacus")
    desk.page.wait_for_selector("html[data-backend=native]")
    assert desk.get("backend-note").inner_text() == "There is no backend called abacus. Using Compiled SIMD."
    desk.seven()
    desk.settled()
    desk.get("model-ann").get_by_role("radio").check()
    desk.page.wait_for_function("document.getElementById('origin').textContent.startsWith('ann on Compiled SIMD')")
    desk.rested()
    drawn, shares = desk.flat(), desk.shares()
    assert "model=ann" in desk.page.url
    desk.page.reload()
    desk.page.wait_for_function("window.pad && pad.kind() === 'ink'")
    assert desk.flat() == drawn
    desk.ready()
    desk.settled()
    assert desk.shares() == shares
    assert desk.get("model-ann").get_by_role("radio").is_checked()

    friend = new_desk().open(desk.page.url.removeprefix(desk.origin))  # a browser that has never been here
    friend.settled()
    assert friend.flat() == drawn
    assert friend.shares() == shares
    friend.page.evaluate("history.replaceState(null, '', location.pathname)")
    friend.get("model-linear").get_by_role("radio").check()
    friend.page.wait_for_function("document.getElementById('origin').textContent.startsWith('linear on Compiled SIMD')")


@pytest.mark.parametrize(
    "hash", ["#draw?ink=%E0%A4%A", "#draw?ink=____", "#draw?ink=AQ", "#draw?ink=Af9_f39_", "#?&=&model=none"]
)
def test_a_damaged_link_leaves_the_drawing_alone(desk: Any, hash: str) -> None:
    desk.seven()
    desk.rested()
    drawn = desk.flat()
    desk.page.evaluate("(hash) => { location.hash = hash; }", hash)
    desk.page.wait_for_timeout(200)
    desk.stroke([(5, 24), (6, 24)])  # everything still works
    desk.rested()
    assert desk.flat()[: len(drawn)] == drawn
    assert desk.page.get_attribute("html", "data-engine") == "ready"
