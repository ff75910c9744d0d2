"""Teaching a hand on the page: correct, teach, reload, forget; the digits stay in this browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WAIT = 120_000  # ms; a laden machine may take its time
MODEL = "linear"  # the weakest reader: it has the most to learn, and its features are the pixels
ONE = [[(9, 10), (15, 5.5), (15, 22)], [(9.5, 22), (20.5, 22)]]  # a 1 with a flag and a base, as people write it


def correct(desk: Any, digit: int) -> None:
    """Say what the drawing was, by keyboard: its own key opens the row, the digit's chooses."""
    desk.page.keyboard.press("m")
    desk.page.keyboard.press(str(digit))
    desk.page.wait_for_function(
        "(words) => document.querySelector('[data-testid=meant-note]').textContent.startsWith(words)",
        arg=f"Kept as a {digit}",
    )


def note(desk: Any, words: str) -> None:
    """Wait until the panel says this."""
    desk.page.wait_for_function(
        "(words) => document.querySelector('[data-testid=hand-note]').textContent.includes(words)",
        arg=words,
        timeout=WAIT,
    )


def cells(desk: Any, name: str) -> list[str]:
    """Before and after, as the panel shows them."""
    return desk.get(f"lesson-{name}").locator("td").all_inner_texts()


def count(desk: Any, digit: int) -> str:
    return desk.get(f"hand-count-{digit}").text_content() or ""


@pytest.fixture
def taught(new_desk: Callable[..., Any]) -> Any:
    """A desk of its own whose weakest model has been taught one flagged 1."""
    desk = new_desk().open(f"#draw?model={MODEL}")
    desk.strokes(ONE)
    desk.rested()
    desk.shipped = desk.shares()
    correct(desk, 1)
    desk.get("meant-teach").click()
    note(desk, f"{MODEL} has learnt your hand")
    desk.page.wait_for_function("document.getElementById('origin').textContent.endsWith(', taught your hand')")
    return desk


def test_teach_and_forget_round_trip_across_a_reload(taught: Any, report: Callable[[str], None]) -> None:
    desk = taught
    assert cells(desk, "own") == ["0.0 %", "100.0 %"]
    before, after = [float(cell.rstrip(" %")) for cell in cells(desk, "test")]
    assert before > 90
    assert after > before - 2
    kernels = desk.get("moved-dense1").locator("li").all_inner_texts()
    assert len(kernels) == 10
    assert all(float(text.split("\n")[-1].rstrip(" %")) > 0 for text in kernels)
    shares = desk.shares()
    assert shares[1] == max(shares) and desk.shipped[1] < max(desk.shipped)
    report(f"teaching: {desk.get('hand-lesson').locator('caption').inner_text()}")

    desk.page.reload()  # digits and what was taught are still there
    desk.ready()
    desk.rested()
    assert desk.shares() == shares
    assert desk.page.locator("#origin").inner_text().endswith(", taught your hand")
    assert count(desk, 1) == "1"
    desk.get("hand").click()
    assert cells(desk, "own") == ["0.0 %", "100.0 %"]

    desk.get("back").click()  # one click returns to the shipped weights, exactly
    note(desk, "back at the shipped weights")
    desk.page.wait_for_function("!document.getElementById('origin').textContent.includes('taught')")
    assert desk.shares() == desk.shipped
    assert desk.get("hand-lesson").inner_text() == ""
    assert count(desk, 1) == "1"
    desk.page.reload()
    desk.ready()
    desk.rested()
    assert desk.shares() == desk.shipped


def test_everything_of_the_visitor_can_be_deleted(taught: Any) -> None:
    desk = taught
    desk.get("delete").click()
    desk.get("delete-no").click()
    assert count(desk, 1) == "1"
    assert desk.page.evaluate("document.activeElement.dataset.testid") == "delete"
    desk.get("delete").click()
    desk.get("delete-yes").click()
    note(desk, "Deleted.")
    assert count(desk, 1) == "0"
    desk.page.wait_for_function("!document.getElementById('origin').textContent.includes('taught')")
    assert desk.shares() == desk.shipped
    assert desk.page.evaluate("Promise.all([store.all(), store.taught('linear')])") == [[], None]
    assert desk.get("teach").get_attribute("aria-disabled") == "true"


def test_another_version_of_the_model_drops_what_was_taught(taught: Any, root: Path) -> None:
    """The taught head belongs to one file of weights: under another it would spoil the reading."""
    desk = taught
    data = bytearray((root / "web" / "models" / f"{MODEL}.safetensors").read_bytes())
    data[-1] ^= 1  # the last bit of an exponent or a mantissa of a bias: another file, nearly the same weights
    desk.page.route(f"**/models/{MODEL}.safetensors", lambda route: route.fulfill(body=bytes(data)))
    desk.page.reload()
    desk.ready()
    note(desk, "it was taught to another version of linear")
    desk.rested()
    assert "taught" not in desk.page.locator("#origin").inner_text()
    assert desk.page.evaluate("store.taught('linear')") is None
    assert count(desk, 1) == "1"  # the digits are kept: teach again


def test_a_correction_by_mouse_replaced_and_taken_back(desk: Any) -> None:
    try:
        assert not desk.get("meant").is_visible()  # nothing is drawn: there is nothing to correct
        desk.seven()
        desk.settled()
        desk.get("meant").click()
        assert desk.get("meant").get_attribute("aria-expanded") == "true"
        desk.get("meant-2").click()
        desk.get("meant-note").get_by_text("Kept as a 2").wait_for()
        correct(desk, 7)  # of the same drawing: in place of the 2
        assert (count(desk, 2), count(desk, 7)) == ("0", "1")
        desk.get("meant-undo").click()
        desk.page.wait_for_function("document.querySelector('[data-testid=hand-count-7]').textContent === '0'")
        desk.get("meant").click()
        desk.page.keyboard.press("ArrowLeft")
        assert desk.page.evaluate("document.activeElement.dataset.testid") == "meant-9"
        desk.page.keyboard.press("Escape")
        assert desk.page.evaluate("document.activeElement.dataset.testid") == "meant"
        assert not desk.get("meant-9").is_visible()
        correct(desk, 7)
        desk.stroke([(5, 24), (6, 24)])  # the next ink is another drawing
        desk.settled()
        assert not desk.get("meant-note").is_visible()
        assert count(desk, 7) == "1"
    finally:
        desk.page.evaluate("store.clear()")


def test_a_hand_is_exported_and_imported(new_desk: Callable[..., Any], gallery: list[dict[str, Any]]) -> None:
    desk = new_desk().open()
    desk.seven()
    desk.settled()
    flat = desk.flat()
    correct(desk, 1)
    desk.get("samples").click()
    desk.get(f"sample-{gallery[0]['number']}").click()  # a picture has no strokes: its 784 numbers are kept
    desk.settled()
    correct(desk, 3)
    with desk.page.expect_download() as download:
        desk.get("export").click()
    text = Path(download.value.path()).read_text("utf-8")
    first, second = json.loads(text)["digits"]
    assert (first["label"], first["read"], first["model"]) == (1, "7", "digits")
    points = first["strokes"][0]["points"]
    assert [len(points) / 2, first["strokes"][0]["width"], 0, *points] == flat
    assert (second["label"], len(second["image"])) == (3, 784)
    desk.get("delete").click()
    desk.get("delete-yes").click()
    note(desk, "Deleted.")
    for name, data, words in (
        ("notes.json", "no JSON", "notes.json: the file is not JSON"),
        ("bad.json", text.replace('"label":3', '"label":33'), "digit 2: its label must be 0 to 9"),
        ("hand.json", text, "2 digits added from hand.json."),
    ):
        file = {"name": name, "mimeType": "application/json", "buffer": data.encode()}
        desk.get("hand-file").set_input_files(file)
        note(desk, words)
    assert (count(desk, 1), count(desk, 3)) == ("1", "1")
    assert desk.page.evaluate("store.all().then((all) => Array.from(all[0].flat))") == flat


def test_a_teaching_can_be_stopped_and_one_can_draw_meanwhile(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open()
    desk.strokes(ONE)
    desk.rested()
    shares = desk.shares()
    correct(desk, 1)
    desk.get("teach").click()
    desk.page.wait_for_function(
        "document.querySelector('[data-testid=hand-stage]').textContent.startsWith('Looking')", timeout=WAIT
    )
    desk.page.evaluate("pad.clear()")
    desk.seven()
    # Answered while the teaching goes on, and stopped at once: a moment later it may have come to its end.
    found = desk.page.wait_for_function(
        """() => {
          const find = (name) => document.querySelector(`[data-testid=${name}]`), answer = find("answer");
          if (answer.dataset.version !== String(pad.version())) return false;
          const goes = find("hand-stage").checkVisibility();
          find("stop").click();
          return [answer.textContent, goes];
        }""",
        timeout=60_000,
    )
    assert found.json_value() == ["7", True]
    note(desk, "Stopped. The network is as it was before.")
    assert not desk.get("hand-stage").is_visible()
    desk.get("undo").click()
    desk.get("undo").click()
    desk.settled()
    assert desk.shares() == shares
    assert desk.page.evaluate("store.taught('digits')") is None


def test_where_the_browser_keeps_nothing(new_desk: Callable[..., Any]) -> None:
    desk = new_desk()
    refuse = "IDBFactory.prototype.open = () => { throw new DOMException('storage refused', 'SecurityError'); };"
    desk.page.add_init_script(refuse)
    desk.watch.allowed = ("storage refused",)  # PyScript opens a database of its own, and lets the refusal pass
    desk.open(f"#draw?model={MODEL}")
    desk.seven()
    desk.settled()
    correct(desk, 7)
    assert "This browser keeps nothing" in desk.get("hand-words").inner_text()
    desk.get("teach").click()
    note(desk, "has learnt your hand")
    assert count(desk, 7) == "1"


@pytest.mark.parametrize("width", [320, 390])
def test_the_row_fits_a_telephone(phone: Any, width: int) -> None:
    phone.page.set_viewport_size({"width": width, "height": 700})
    phone.seven()
    phone.settled()
    phone.get("meant").tap()
    for digit in range(10):
        box = phone.get(f"meant-{digit}").bounding_box()
        assert box is not None and box["width"] >= 24 and box["height"] >= 24  # WCAG 2.2, 2.5.8
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    button = phone.get("meant").bounding_box()
    words = phone.page.evaluate(
        """() => {
            const range = document.createRange();
            range.selectNodeContents(document.getElementById("share"));
            return range.getBoundingClientRect().right;
        }"""
    )
    assert words <= button["x"]  # the share is not covered
    phone.page.keyboard.press("Escape")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= width
