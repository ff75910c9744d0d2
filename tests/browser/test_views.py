"""What stands beside the answer: eleven meters, the digits of a number, the steps with their switches, the figures."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from typing import Any

import handlens
import numpy as np
import pytest
from handlens.reading import rules_of
from handlens.strokes import STAGES, Stroke, rasterise
from PIL import Image

SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]
# a 7 in a corner at a third of the size, and a 1, a 0 and a 7 side by side
SMALL_SEVEN = [(3 + (x - 8) * 0.4, 20 + (y - 7) * 0.4) for x, y in SEVEN]
ROUND = [(14, 9), (12.3, 10.5), (11.8, 14), (12.3, 17.5), (14, 19), (15.7, 17.5), (16.2, 14), (15.7, 10.5), (14.1, 9)]
NUMBER = [[(5, 9), (5, 14), (4.8, 19)], ROUND, [(20, 9), (25.2, 9), (23.8, 13), (22.2, 19)]]


@pytest.fixture(scope="module")
def model(site_dir: Any) -> Any:
    return handlens.load(site_dir / "models" / "digits.safetensors")


def percent(share: float) -> str:
    """As the page writes a share: rounded to one decimal, and 100 % for certainty alone."""
    return f"{min(999, int(share * 1000 + 0.5)) / 10 if share < 1 else 100:.1f} %"


def switch(desk: Any, stage: str) -> None:
    """Turn a stage's switch and wait for the answer."""
    desk.get(f"stage-{stage}").click()
    off = [name for name in STAGES if not desk.get(f"stage-{name}").is_checked()]
    desk.page.wait_for_function(
        "(off) => document.getElementById('stages').dataset.without === off", arg=",".join(off), timeout=60_000
    )


def image(desk: Any) -> list[int]:
    """The 28 x 28 as it is painted."""
    return desk.page.evaluate(
        """() => {
            const canvas = document.querySelector('[data-testid=seen]');
            return [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0);
        }"""
    )


# -- the meters --------------------------------------------------------------------------------------------------------
def test_eleven_meters_add_up(desk: Any, model: Any) -> None:
    rules = rules_of(model)
    scribble = [(8 + 12 * (k % 2), 6 + k * 0.9) for k in range(18)]
    for strokes in ([SEVEN], [scribble], [SEVEN, [(5, 5), (22, 24)], [(22, 5), (5, 24)]]):
        desk.page.evaluate("pad.clear()")
        desk.strokes(strokes)
        answer = desk.settled()
        if len(answer) > 1:
            continue
        shares, none = desk.shares(), desk.none()
        assert sum(shares) + none == pytest.approx(100, abs=0.12)
        assert shares[desk.digit()] == max(shares)
        assert (answer == "?") == (max(shares) < 100 * rules.answer)
        first = desk.page.locator(".bar[data-first=yes]").get_attribute("data-testid")
        verdict = desk.get("answer").get_attribute("data-verdict")
        assert (first == "prob-none") == (verdict == "none")
        assert (verdict == "none") == (answer == "?" and none > max(shares))


def test_a_model_without_the_eleventh_class_says_so(new_desk: Callable[..., Any], model: Any) -> None:
    desk = new_desk().open()
    desk.stroke(SEVEN)
    desk.settled()
    rejects = model.output_shape[0] > 10
    assert (desk.get("prob-none").get_attribute("aria-valuetext") == "this model has no such class") == (not rejects)
    desk.get("model-linear").get_by_role("radio").check()
    desk.page.wait_for_function("document.getElementById('origin').textContent.startsWith('linear on Compiled SIMD')")
    assert desk.get("prob-none").get_attribute("aria-valuetext") == "this model has no such class"
    assert desk.none() == 0
    assert sum(desk.shares()) == pytest.approx(100, abs=0.1)


# -- numbers -----------------------------------------------------------------------------------------------------------
def test_each_digit_of_a_number_has_its_frame_and_its_meters(desk: Any) -> None:
    desk.strokes(NUMBER)
    assert desk.settled() == "107"
    desk.rested()
    pad = desk.box()
    for place, stroke in enumerate(NUMBER):
        frame = desk.get(f"frame-{place}").bounding_box()
        assert frame is not None
        left, right = min(x for x, _ in stroke), max(x for x, _ in stroke)
        cell = pad["width"] / 28
        # the frame is the ink's: half the brush of 2.2 cells beyond the path on either side
        assert frame["x"] - pad["x"] == pytest.approx((left - 1.1) * cell, abs=0.4 * cell)
        assert frame["x"] + frame["width"] - pad["x"] == pytest.approx((right + 1.1) * cell, abs=0.4 * cell)
        assert re.fullmatch(rf"{'107'[place]} \d+ %", desk.get(f"frame-{place}").inner_text())
    assert desk.page.locator(".place[aria-pressed=true]").inner_text() == "7"  # the digit drawn last is looked at
    images = []
    for place in range(3):
        desk.look_at(place)
        shares = desk.shares()
        assert shares.index(max(shares)) == int("107"[place])
        images.append(image(desk))
    assert images[0] != images[1] != images[2] != images[0]
    assert desk.get("model-digits").locator("td.c-reads").inner_text() == "107"
    desk.page.evaluate("pad.undo()")
    assert desk.settled() == "10"
    desk.page.evaluate("pad.undo()")
    assert desk.settled() == "1"
    assert desk.page.locator(".place-frame").count() == 0  # one digit that is answered needs no frame


def test_steps_and_maps_follow_the_digit_looked_at(desk: Any) -> None:
    desk.strokes(NUMBER)
    desk.rested()
    maps = "document.querySelector('.layer canvas').getContext('2d').getImageData(0, 0, 28, 28).data.join()"
    before = desk.page.evaluate(maps)
    desk.look_at(1)
    desk.page.wait_for_function(f"(before) => {maps} !== before", arg=before)
    fits = "(() => { const c = document.querySelector('[data-testid=step-crop]'); return c.width / c.height; })()"
    round_one = desk.page.evaluate(fits)
    desk.look_at(0)
    desk.page.wait_for_function(f"{fits} < 0.5")  # the 1 is slim
    assert round_one > 0.5


def test_a_photo_of_a_number_is_read_and_comes_back_after_a_reload(new_desk: Callable[..., Any]) -> None:
    strokes = [Stroke(np.array(stroke) * 10.0, 22.0) for stroke in NUMBER]
    ink = rasterise(strokes, 420, 280.0)
    paper = np.full((600, 700), 225.0)
    paper[100:520, 200:620] -= 180 * ink
    out = io.BytesIO()
    Image.fromarray(paper.astype(np.uint8)).save(out, "PNG")
    desk = new_desk().open()
    desk.get("file").set_input_files({"name": "107.png", "mimeType": "image/png", "buffer": out.getvalue()})
    desk.page.wait_for_function("pad.kind() === 'picture'")
    assert desk.settled() == "107"
    assert desk.page.evaluate("pad.values().length") > 784
    shown = [desk.get(f"frame-{place}").bounding_box() for place in range(3)]
    pad = desk.box()
    for before, after in itertools.pairwise(shown):
        assert before["x"] + before["width"] < after["x"]
    for box in shown:  # around ink: the canvas is inked in the middle row of each frame
        y = (box["y"] + box["height"] / 2 - pad["y"]) / pad["height"]
        edges = [(box["x"] - pad["x"]) / pad["width"], (box["x"] + box["width"] - pad["x"]) / pad["width"]]
        inked = desk.page.evaluate(
            """([from, to, y]) => {
                const side = pad.canvas.width, context = pad.canvas.getContext('2d');
                const row = context.getImageData(from * side, y * side, Math.ceil((to - from) * side), 1).data;
                return row.some((value, i) => i % 4 === 3 && value > 200);
            }""",
            [*edges, y],
        )
        assert inked
    desk.look_at(1)
    assert desk.shares().index(max(desk.shares())) == 0
    desk.page.reload()
    desk.ready()
    assert desk.settled() == "107"  # the file is gone, what the pad shows of it is read


# -- the steps ---------------------------------------------------------------------------------------------------------
def test_a_step_can_be_switched_off(desk: Any) -> None:
    desk.stroke(SMALL_SEVEN)
    assert desk.settled() == "7"
    desk.rested()
    shares, whole = desk.shares(), image(desk)
    pictures = {}
    try:
        for stage in STAGES:
            switch(desk, stage)
            pictures[stage] = image(desk)
            assert f"without {stage}" in desk.page.locator("#origin").inner_text()
            switch(desk, stage)
            assert desk.shares() == shares
            assert image(desk) == whole
    finally:
        desk.page.evaluate("document.querySelectorAll('.switch input:not(:checked)').forEach((s) => s.click())")
    for stage, picture in pictures.items():
        assert picture != whole, stage
    inked = {stage: sum(value < 128 for value in picture) for stage, picture in pictures.items()}
    assert inked["crop"] < 0.5 * sum(value < 128 for value in whole)  # the small 7 stays small


def test_switched_off_steps_are_in_the_link_and_back_after_a_reload(new_desk: Callable[..., Any]) -> None:
    desk = new_desk().open()
    desk.stroke(SMALL_SEVEN)
    desk.settled()
    switch(desk, "crop")
    switch(desk, "centre")
    desk.rested()
    shares = desk.shares()
    assert "off=crop.centre" in desk.page.url
    desk.page.reload()
    desk.ready()
    desk.rested()
    assert not desk.get("stage-crop").is_checked() and not desk.get("stage-centre").is_checked()
    assert desk.get("stage-aspect").is_checked()
    assert desk.shares() == shares
    switch(desk, "crop")
    switch(desk, "centre")
    desk.rested()
    assert "off=" not in desk.page.url
    assert desk.shares() != shares
    desk.page.evaluate("location.hash = '#draw?off=nonsense'")  # names no step
    desk.stroke([(24, 24), (24, 25)])
    desk.rested()
    assert desk.page.get_attribute("html", "data-engine") == "ready"


def test_a_picture_has_no_steps_to_switch(desk: Any, gallery: list[dict[str, Any]]) -> None:
    desk.get("samples").click()
    desk.get(f"sample-{gallery[0]['number']}").click()
    desk.settled()
    assert desk.get("stage-crop").is_disabled()
    desk.get("samples").click()
    desk.page.evaluate("pad.clear()")
    desk.stroke(SEVEN)
    desk.settled()
    assert desk.get("stage-crop").is_enabled()


# -- the figures -------------------------------------------------------------------------------------------------------
def test_the_measured_figures_are_those_of_the_file(desk: Any, model: Any) -> None:
    measured = model.metadata.get("drawn")
    quoted = desk.page.locator("#measured").inner_text()
    if measured is None:  # nothing measured, nothing said
        assert quoted == ""
        assert desk.page.locator("#stages-note").inner_text() == ""
        assert all(not line.inner_text() for line in desk.page.locator(".cost").all())
        return
    assert quoted.startswith("digits on ")
    worst = min(row["accuracy"] for row in measured["by_writer"])
    for share in (measured["accuracy"], worst, measured["refused"], measured["right_of_answered"]):
        assert percent(share) in quoted
    for group in ("brush", "corner", "rotation"):
        assert percent(measured["lowest"][group]["accuracy"]) in quoted
    if measured.get("rejects"):
        assert percent(measured["rejects"]["refused"]) in quoted
    for stage, share in measured["stages"]["off"].items():
        points = f"{100 * (share - measured['stages']['on']):+.1f}".replace("-", "\u2212")
        assert desk.get(f"cost-{stage}").inner_text() == f"off: {points}"
    assert percent(measured["stages"]["on"]) in desk.page.locator("#stages-note").inner_text()
