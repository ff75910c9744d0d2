"""The article's figures as pictures: what is seen, heard and kept of them, on a large screen and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from looks import drawing_again, figure


@pytest.fixture(scope="module")
def own_desk(open_desk: Callable[..., Any]) -> Any:
    """A desk for these tests alone: the figures keep what has been set on them."""
    return open_desk().open()


@pytest.fixture
def reading(own_desk: Any) -> Iterator[Any]:
    """That desk with a seven and the article open; afterwards the drawing again, and nothing has gone wrong."""
    desk = own_desk
    desk.blank()
    desk.seven()
    desk.settled()
    desk.get("view-article").click()
    desk.page.locator("#article-text").wait_for()
    yield desk
    drawing_again(desk)
    desk.watch.check()


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
    assert bars.count() == 3
    reading.page.wait_for_function(  # in one look: an answer may write them anew at any time
        """() => {
          const all = [...document.querySelectorAll("figure[data-live=channels] .track i")];
          const widest = Math.max(...all.map((one) => one.offsetWidth));
          return all.length === 3 && widest > 20 && all.every((one) => one.offsetHeight >= 8);
        }"""
    )


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


def test_figures_follow_what_was_drawn_elsewhere(reading: Any) -> None:
    fields = figure(reading, "fields")
    fields.locator(".live-note").wait_for(state="hidden")
    reading.get("view-draw").click()
    reading.blank()
    reading.get("view-article").click()
    figure(reading, "fields")
    fields.locator(".live-note", has_text="Nothing is drawn").wait_for()


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


def test_a_step_points_to_its_cell_and_is_spoken(reading: Any) -> None:
    for width in (1280, 390, 320):
        reading.page.set_viewport_size({"width": width, "height": 900})
        slide = figure(reading, "slide")
        reading.page.evaluate("document.getElementById('live').textContent = ''")
        slide.get_by_role("button", name="One step on").click()
        said = heard(reading, "patch row 3: ")
        line = slide.locator(".live-total").inner_text()
        assert said.split(", written to ")[1] == line.split("written to ")[1].split(".")[0]
        ends = slide.evaluate(
            """(figure) => {
              const box = figure.querySelector(".arrow").getBoundingClientRect();
              const way = figure.querySelector(".arrow .way"), at = way.getPointAtLength(way.getTotalLength());
              const cell = [...figure.querySelectorAll(".map-over .lens")].at(-1).getBoundingClientRect();
              return [box.left + at.x - cell.left, box.top + at.y - cell.top, cell.width, cell.height];
            }"""
        )
        assert -4 <= ends[0] <= ends[2] + 4 and -4 <= ends[1] <= ends[3] + 4, (width, ends)
    reading.page.evaluate("document.getElementById('live').textContent = ''")
    slide.get_by_role("button", name="Play").click()
    reading.page.wait_for_timeout(900)
    assert reading.page.locator("#live").inner_text() == ""  # nobody could listen so fast
    slide.get_by_role("button", name="Pause").click()
    heard(reading, "patch row 1: ")


def test_what_is_below_zero_is_hatched_and_explained(reading: Any) -> None:
    hatched = """(figure) => [...figure.querySelectorAll("canvas[data-signed=yes]")].map((canvas) => {
      const { width, height } = canvas, cells = new Set();
      const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
      for (let k = 0; k < data.length; k += 4) if (data[k] < data[k + 2] - 20) cells.add(data.slice(k, k + 3).join());
      return [width, cells.size];
    })"""
    for name, signed in {"slide": 1, "several": 4, "channels": 19, "whole": 1}.items():
        found = figure(reading, name)
        legend = found.locator(".legend")
        assert legend.is_visible() and "below 0 also hatched" in legend.inner_text()
        canvases = found.evaluate(hatched)
        assert len(canvases) == signed and all(width >= 36 for width, _ in canvases)
        assert max(shades for _, shades in canvases) > 1  # a shade and its hatch
    for name in ("polarity", "permuted", "sizes", "fields", "shifts"):
        assert figure(reading, name).locator(".legend").is_visible()


def test_the_loss_of_what_one_meant(reading: Any) -> None:
    loss = figure(reading, "loss")
    loss.get_by_label("You meant").select_option("1")
    heard(reading, "Had you meant 1, the loss would be")
    row = loss.locator("tbody tr").nth(1)
    assert row.locator("th").inner_text() == "1, meant"
    told = float(loss.locator(".live-total").inner_text().split("= ")[1].split(". A power")[0])
    assert float(row.locator("td").last.inner_text()) == pytest.approx(told, abs=0.006)


def test_a_network_of_ones_own(reading: Any) -> None:
    builder = figure(reading, "builder")
    total = builder.locator(".live-total")
    total.filter(has_text="5\u202f258 parameters, 192\u202f064 multiplications").wait_for()
    first = builder.get_by_role("group", name="Round 1")
    first.get_by_label("Pooling").select_option("none")
    builder.locator("tbody tr", has_text="conv2").filter(has_text="16×24×24").wait_for()
    for k in (1, 2):
        group = builder.get_by_role("group", name=f"Round {k}")
        group.get_by_label("Kernel size").fill("9")
        group.get_by_label("Pooling").select_option("max")
    builder.get_by_role("group", name="Round 3").get_by_label("Kernels").fill("4")
    heard(reading, 'Conv2D "conv3": kernel 3x3 is larger than its input 1x1')
    assert builder.locator("table").count() == 0 and total.get_attribute("data-refused") == "yes"
    builder.get_by_role("group", name="Round 3").get_by_label("Kernels").fill("0")
    builder.locator("tbody tr").first.wait_for()


def test_controls_of_the_pictures(reading: Any) -> None:
    polarity = figure(reading, "polarity")
    black = polarity.locator("tbody tr").first.locator("td").nth(1)
    assert black.inner_text().startswith("7, ")
    polarity.get_by_label("Black from").fill("1")
    heard(reading, "Black from 1.0: CNN ")
    whole = figure(reading, "whole")
    whole.get_by_label("Show").select_option("conv2")
    assert whole.locator(".stage-part:visible").count() == 1
    assert whole.locator("canvas:visible").first.evaluate("(canvas) => canvas.offsetWidth") > 100
    whole.get_by_label("Show").select_option("")
    assert whole.locator(".stage-part:visible").count() == 7
    pooling = figure(reading, "pooling")
    assert "4 windows with ink the largest stands more than once" in pooling.locator(".live-total").inner_text()
    pooling.get_by_role("button", name="Time the next layer").click()
    pooling.get_by_role("status").filter(has_text="28 × 28 cells, ").wait_for()
    approximate = figure(reading, "approximate")
    approximate.get_by_label("Begin with").select_option("step")
    heard(reading, "This curve jumps by 1.2")
