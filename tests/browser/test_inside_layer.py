"""Look inside, layer by layer: the scale that one chooses, every kernel beside its map, what a layer costs, the sign
that is seen without colour, the reasons with their definitions, and the kernels made by hand beside the learned ones.
"""

from __future__ import annotations

from typing import Any

import pytest
from looks import at, no_sideways_scroll, read, table, unfolded, violations

# The colour at the middle of a cell of a plate, [r, g, b]; the plate's canvas shows rows x columns.
COLOUR = """([plate, row, column, rows, columns]) => {
  const canvas = document.querySelector(`[data-testid="${plate}"] canvas`);
  const x = Math.floor((column + 0.5) * canvas.width / columns), y = Math.floor((row + 0.5) * canvas.height / rows);
  return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
}"""
# How many cells of `side` pixels of a canvas have more than one colour: a hatch, or a line across.
UNEVEN = """([selector, side]) => {
  const canvas = document.querySelector(selector), found = [0, 0];
  const data = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  for (let y = 0; y + side <= canvas.height; y += side)
    for (let x = 0; x + side <= canvas.width; x += side) {
      const seen = new Set();
      for (let k = 0; k < side * side; k += 1) seen.add(data[(y + Math.floor(k / side)) * canvas.width + x + k % side]);
      found[seen.size > 1 ? 1 : 0] += 1;
    }
  return found;
}"""


def go(desk: Any, address: str, place: str) -> None:
    """To a place by its address."""
    desk.page.evaluate("(to) => { location.hash = '#inside?' + to; }", address)
    at(desk, place)


def matrices(desk: Any) -> list[list[float]]:
    """The matrices of the chosen kernel, as they stand in the list of channels."""
    found = desk.page.locator(".channels .matrix").all()
    return [[read(text) for text in one.locator("td").all_inner_texts()] for one in found]


def test_the_whole_network_has_its_numbers_and_says_the_sign_without_colour(inside: Any) -> None:
    page = inside.page
    hatched, canvas = {}, "[data-testid=step-{}] ~ canvas"
    for name in ("conv1", "relu1"):
        width = page.evaluate("(of) => document.querySelector(of).width", canvas.format(name))
        assert width == {"conv1": 2 * 99, "relu1": 99}[name]
        hatched[name] = page.evaluate(UNEVEN, [canvas.format(name), 2 if name == "conv1" else 1])[1]
    assert hatched["conv1"] > 300 and hatched["relu1"] == 0
    wide = [page.locator(canvas.format(name)).bounding_box()["width"] for name in hatched]
    assert wide[0] == pytest.approx(wide[1], abs=0.5)  # the same cells, whatever they are painted with
    page.locator(canvas.format("conv1")).click(position={"x": 60, "y": 10})
    at(inside, "conv1 layer 1")  # the second of four, 50 px each
    there = unfolded(inside, "layer-figures", "conv1, map 2")
    inside.get("crumb-all").click()
    at(inside, "whole")
    assert len(unfolded(inside, "whole-figures")) == 28
    inside.get("whole-figures-layer").select_option("conv1")
    assert unfolded(inside, "whole-figures", "conv1, map 2") == there
    inside.get("whole-figures-layer").select_option("dense1")
    page.locator("[data-testid=whole-figures] [data-full] caption:text-is('dense1, all numbers')").wait_for()
    scores = unfolded(inside, "whole-figures")
    shown = page.locator("li:has(> [data-testid=step-dense1]) [data-cell]").all_inner_texts()
    assert [read(text) for text in scores[0][1:]] == pytest.approx([read(text) for text in shown], abs=0.006)
    inside.get("whole-figures").locator("summary").click()


def test_each_layer_has_its_time_on_the_row_that_does_the_work(inside: Any) -> None:
    costs = inside.page.locator("details.costs:has(summary:text-is('What each layer costs'))")
    for model, work, after in (("cnn-small", "conv1.linear", "conv1"), ("ann", "dense1.linear", "dense1")):
        inside.get("inside-model").select_option(model)
        at(inside, "whole")
        costs.locator("summary").click()
        costs.locator("td", has_text=" ms").first.wait_for()
        rows = {cells[0]: cells for cells in (row.split("\t") for row in costs.locator("tbody tr").all_inner_texts())}
        assert rows[work][-1].endswith(" ms") and rows[work][4] != "0"
        assert rows[after][-1] == f"in {work}"
        assert rows["all"][-1].endswith(" ms") and rows["flatten1"][-1] == "\u2013"


def test_a_map_is_shown_on_the_scale_that_the_legend_says(inside: Any) -> None:
    page = inside.page
    reach = page.locator("[data-testid=step-relu2] ~ canvas").get_attribute("aria-label")
    top = read(reach.split(" to ")[1])
    go(inside, "layer=conv2&cell=3", "conv2 layer 3")
    made = table(unfolded(inside, "layer-figures", "ReLU, relu2"))
    side, strongest = len(made), max(map(max, made))
    row, column = next((r, c) for r, line in enumerate(made) for c, value in enumerate(line) if value == strongest)
    seen = {}
    for choice in ("map", "layer", "network"):
        before = page.evaluate("document.querySelector('[data-testid=chain-2] canvas').toDataURL()")
        if inside.get("scale").input_value() != choice:
            inside.get("scale").select_option(choice)
            still = "(before) => document.querySelector('[data-testid=chain-2] canvas').toDataURL() !== before"
            page.wait_for_function(still, arg=before)
            at(inside, "conv2 layer 3")
        seen[choice] = [page.evaluate(COLOUR, [f"chain-{k}", row, column, side, side]) for k in range(3)]
    inside.get("scale").select_option("layer")
    ink, paper = (22, 24, 29), 255
    assert seen["map"][2] == list(ink)  # its largest is full colour
    share = strongest / top
    expected = [paper + share * (full - paper) for full in ink]
    assert seen["layer"][2] == pytest.approx(expected, abs=2)
    for k in range(3):  # each paler than the one before
        sums = [sum(seen[choice][k]) for choice in ("map", "layer", "network")]
        assert sums[0] <= sums[1] <= sums[2] and sums[0] < sums[2], k


def test_every_kernel_stands_beside_its_map_and_can_be_chosen(inside: Any) -> None:
    page = inside.page
    go(inside, "layer=conv1&cell=3", "conv1 layer 3")
    assert inside.get("kernels").is_visible() and len(matrices(inside)) == 1
    numbers = unfolded(inside, "layer-figures", "Kernel 4")
    assert [read(text) for row in numbers for text in row[1:]] == pytest.approx(matrices(inside)[0], abs=0.006)
    box = inside.get("kernels").bounding_box()
    third_of_four = {"x": 0.6 * box["width"], "y": 0.3 * box["height"]}  # in the second row
    inside.get("kernels").locator("canvas").click(position=third_of_four)
    at(inside, "conv1 layer 6")
    assert page.get_by_role("heading", name="Kernel 7").is_visible()

    go(inside, "layer=conv2&cell=3", "conv2 layer 3")
    assert "16 matrices of 3" in inside.get("kernels").locator("canvas").get_attribute("aria-label")
    inside.get("all-channels").click()
    page.wait_for_function("document.querySelectorAll('.channels .matrix').length === 16")
    order = [int(text) - 1 for text in page.locator(".channels > tbody > tr > th").all_inner_texts()]
    lines = unfolded(inside, "layer-figures", "Kernel 4: its matrix for each map a line, row by row")
    assert len(lines) == 16
    for channel, matrix in zip(order, matrices(inside), strict=True):
        assert [read(text) for text in lines[channel][1:]] == pytest.approx(matrix, abs=0.006)
    cells = page.locator(".channels .matrix td")
    sizes = cells.evaluate_all("(all) => [...new Set(all.map((td) => td.getBoundingClientRect().width.toFixed(1)))]")
    paddings = cells.evaluate_all("(all) => [...new Set(all.map((td) => getComputedStyle(td).padding))]")
    assert len(sizes) == 1 and paddings == ["0px"]


def test_kernels_made_by_hand_beside_the_learned_one_of_each_map(inside: Any) -> None:
    page = inside.page
    go(inside, "layer=conv2&cell=3", "conv2 layer 3")
    made = inside.get("made")
    made.locator("summary").first.click()
    page.wait_for_selector("[data-testid=made] [data-shown='3 0']")
    first = int(page.locator(".channels > tbody > tr > th").first.inner_text()) - 1
    inside.get("made-channel").select_option(index=first)
    page.wait_for_selector(f"[data-testid=made] [data-shown='3 {first}']")
    own = made.locator(".plate-figure").first
    assert f"kernel 4, map {first + 1}" in own.inner_text()
    assert [read(text) for text in own.locator("td").all_inner_texts()] == matrices(inside)[0]
    figures = made.locator(".plate-figure:has(.alike)").all()
    assert len(figures) == 8
    for figure in figures:
        cosines = [read(text.removeprefix("+")) for text in figure.locator(".alike .mono").all_inner_texts()]
        assert len(cosines) == 3 and [abs(c) for c in cosines] == sorted(map(abs, cosines), reverse=True)
    link, cosine = figures[0].locator(".alike .num").first, figures[0].locator(".alike .mono").first.inner_text()
    kernel, channel = (int(word.split()[1]) - 1 for word in link.inner_text().split(", "))
    link.click()
    at(inside, f"conv2 layer {kernel}")
    page.wait_for_selector(f"[data-testid=made] [data-shown='{kernel} {channel}']")
    assert cosine in made.locator(".plate-figure:has(.alike) figcaption").first.inner_text()
    assert inside.get("made-channel").input_value() == str(channel)


def test_reasons_are_defined_each_and_lie_over_the_ink(inside: Any) -> None:
    page = inside.page
    inside.get("tab-why").click()
    at(inside, "why")
    page.wait_for_selector("[data-testid=why-occlusion][data-version]", timeout=30_000)
    words = inside.get("why-words").inner_text()
    assert "explain the score, before the softmax; occlusion the probability, after it" in words
    for name, rule, source in (
        ("saliency", "s[h,w] = max over c", "Simonyan"),
        ("signed", "g[h,w] = sum over c of d score", "the same gradient"),
        ("cam", "a[f] = mean over p,q", "Selvaraju"),
        ("occlusion", "p(x) - p(x with the square wiped out)", "Zeiler"),
    ):
        text = inside.get(f"why-{name}").locator("xpath=..").inner_text()
        assert rule in text and source in text
    over = page.evaluate(UNEVEN, ["[data-testid=why-cam] canvas", 7])[1]
    plain = page.evaluate(UNEVEN, ["[data-testid=why-input] canvas", 7])[1]
    assert plain == 0 and 20 < over < 400  # the edge of a seven, and nothing else

    inside.get("inside-model").select_option("cnn-small")
    page.wait_for_selector("[data-testid=worth][data-layer=conv2]")
    page.wait_for_function("document.querySelectorAll('[data-testid=worth-rows] [data-kernel]').length > 3")
    rows = page.locator("[data-testid=worth-rows] tr:has([data-kernel])")
    for row in rows.all():
        change = read(row.locator("td").nth(2).inner_text().removeprefix("+"))
        assert row.locator("i").get_attribute("class") in (["n"] if change < 0 else ["p"] if change > 0 else ["n", "p"])
    number = int(rows.first.locator("[data-kernel]").get_attribute("data-kernel"))
    rows.first.locator("[data-kernel]").click()
    at(inside, f"conv2.linear layer {number}")
    assert inside.get("kernel").locator(".matrix").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_with_everything_unfolded(inside: Any, axe: str, scheme: str) -> None:
    page = inside.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    try:
        unfolded(inside, "whole-figures")
        assert violations(inside, axe) == [], "whole"
        go(inside, "layer=conv2&cell=3", "conv2 layer 3")
        inside.get("made").locator("summary").first.click()
        page.wait_for_selector("[data-testid=made] [data-shown]")
        assert violations(inside, axe) == [], "conv2"
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 640})
            no_sideways_scroll(inside)
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")
