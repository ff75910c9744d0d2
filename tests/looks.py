"""What several tests look at: the axe rules, what scrolls sideways, where "Look inside" stands, its tables."""

from __future__ import annotations

from typing import Any


def violations(desk: Any, axe: str) -> list[str]:
    """What axe finds on the page as it stands."""
    desk.page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => {})")
    desk.page.evaluate(axe)  # by the debugger's door: the page's own policy lets no script in
    found = desk.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 15  # it did look
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found["violations"] for node in v["nodes"]]


def no_sideways_scroll(desk: Any) -> None:
    width = desk.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


def unfolded(desk: Any, panel: str, picture: str = "") -> list[list[str]]:
    """The rows of a panel of numbers, unfolded, once they are those of this picture; each begins with its place."""
    box = desk.get(panel)
    if box.get_attribute("open") is None:
        box.locator("summary").first.click()
    if picture:
        desk.get(panel + "-choice").select_option(picture)
    desk.page.wait_for_function(
        """([panel, picture]) => {
          const caption = document.querySelector(`[data-testid="${panel}"] [data-full] caption`);
          return caption && (!picture || caption.textContent === picture);
        }""",
        arg=[panel, picture],
    )
    rows = "(table) => [...table.rows].slice(1).map((row) => [...row.cells].map((cell) => cell.innerText))"
    return box.locator("table").evaluate(rows)


def at(desk: Any, place: str) -> None:
    """Wait until the view shows a place, as "layer cell", for the drawing as it stands."""
    desk.page.wait_for_function(
        """(place) => {
          const root = document.getElementById("inside-view");
          return root && root.dataset.version === String(pad.version()) && root.dataset.shown === place;
        }""",
        arg=place,
        timeout=30_000,
    )


def table(rows: list[list[str]], side: int = 0) -> list[list[float]]:
    """The numbers of a square table, whose rows begin with their place."""
    assert len(rows) == (side or len(rows)) and all(len(row) == len(rows) + 1 for row in rows)
    return [[read(text) for text in row[1:]] for row in rows]


def read(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace("\u2212", "-"))


def figure(desk: Any, name: str) -> Any:
    """A live figure, on the screen and answered by the engine."""
    found = desk.page.locator(f"figure[data-live={name}]")
    found.scroll_into_view_if_needed()
    desk.page.locator(f"figure[data-live={name}][data-state=live]").wait_for()
    return found


def drawing_again(desk: Any) -> None:
    """From the article back to the drawing, on a large screen, light and in motion."""
    desk.page.set_viewport_size({"width": 1280, "height": 900})
    desk.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    desk.get("view-draw").click()
    desk.page.wait_for_selector("html[data-view=draw]")
