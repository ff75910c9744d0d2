"""The article's figures as pictures: what is seen, heard and kept of them, on a large screen and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def reading(desk: Any) -> Iterator[Any]:
    """The shared desk with a seven and the article open; afterwards the drawing again, with the model it had."""
    desk.seven()
    desk.settled()
    desk.get("view-article").click()
    desk.page.locator("#article-text").wait_for()
    yield desk
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    desk.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    desk.get("view-draw").click()
    desk.page.wait_for_selector("html[data-view=draw]")


def figure(desk: Any, name: str) -> Any:
    """A live figure, on the screen and answered by the engine."""
    found = desk.page.locator(f"figure[data-live={name}]")
    found.scroll_into_view_if_needed()
    desk.page.locator(f"figure[data-live={name}][data-state=live]").wait_for()
    return found


def heard(desk: Any, words: str) -> str:
    """What a screen reader is given to say, once these words are in it."""
    desk.page.locator("#live", has_text=words).wait_for(state="attached")
    return desk.page.locator("#live").inner_text()


def test_the_drawing_stays_in_sight_with_padding(reading: Any) -> None:
    slide = figure(reading, "slide")
    slide.get_by_label("Padding").press("ArrowRight")
    slide.locator("figcaption", has_text="with a border of 1").wait_for()
    edge = slide.locator(".map-over i").first
    assert edge.evaluate("(edge) => getComputedStyle(edge).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert edge.evaluate("(edge) => edge.getBoundingClientRect().width") > 180  # 28 of 30 pixels of the map


@pytest.mark.parametrize("width", [1280, 800, 390, 320])
def test_each_maps_share_is_a_bar_at_every_width(reading: Any, width: int) -> None:
    reading.page.set_viewport_size({"width": width, "height": 900})
    channels = figure(reading, "channels")
    bars = channels.locator(".track i")
    sizes = bars.evaluate_all("(all) => all.map((one) => [one.offsetWidth, one.offsetHeight, one.style.width])")
    assert len(sizes) == 3 and max(across for across, _, _ in sizes) > 20
    assert all(tall >= 8 for _, tall, _ in sizes)


def test_back_from_another_view_leads_to_the_section(reading: Any) -> None:
    page = reading.page
    page.locator(".contents a", has_text="Stride and padding").click()
    page.wait_for_function("location.hash.includes('at=stride')")
    near = "Math.abs(document.getElementById('article-stride').getBoundingClientRect().top) < innerHeight / 3"
    for name in ("inside", "draw"):
        page.wait_for_function(near)
        reading.get(f"view-{name}").click()
        page.wait_for_function(f"document.documentElement.dataset.view === '{name}'")
        page.wait_for_function("scrollY === 0")
        page.go_back()
        page.wait_for_function("document.documentElement.dataset.view === 'article'")
        page.wait_for_function(near)
        assert page.evaluate("document.activeElement.textContent") == "Stride and padding"
        assert "at=stride" in page.evaluate("location.hash")


def test_the_articles_own_link_keeps_model_and_drawing(reading: Any) -> None:
    page = reading.page
    reading.get("view-draw").click()
    reading.get("model-ann").get_by_role("radio").check()
    page.wait_for_function("location.hash.includes('model=ann')")
    reading.get("view-article").click()
    page.locator("#article-several a", has_text="Look inside").click()
    page.wait_for_function("document.documentElement.dataset.view === 'inside'")
    address = page.evaluate("location.hash")
    assert address.startswith("#inside?") and "model=ann" in address and "ink=" in address
    assert reading.get("inside-model").input_value() == "ann"
    reading.get("inside-model").select_option("digits")


def test_play_is_a_step_where_motion_is_not_wanted(reading: Any) -> None:
    slide = figure(reading, "slide")
    line = slide.locator(".live-total")
    step = int(line.inner_text().split()[1])
    reading.page.emulate_media(reduced_motion="reduce")
    slide.get_by_role("button", name="Play").click()
    slide.locator(".live-total", has_text=f"Step {step + 1} of").wait_for()
    reading.page.wait_for_timeout(700)
    assert line.inner_text().startswith(f"Step {step + 1} of")
    assert slide.get_by_role("button", name="Play").count() == 1
    reading.page.emulate_media(reduced_motion="no-preference")
    slide.get_by_role("button", name="Play").click()
    slide.locator(".live-total", has_text=f"Step {step + 3} of").wait_for()
    slide.get_by_role("button", name="Pause").click()
