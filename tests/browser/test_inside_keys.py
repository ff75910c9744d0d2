"""The operating table and the poolings by keyboard alone: the keyboard stays where it was, whatever is built anew."""

from __future__ import annotations

from typing import Any

from looks import at


def focused(desk: Any) -> str:
    """The test id of what the keyboard is at."""
    return str(desk.page.evaluate("document.activeElement.dataset.testid || document.activeElement.tagName"))


def tab_to(desk: Any, name: str, key: str = "Tab") -> None:
    """Press a key until the keyboard stands there."""
    for _ in range(60):
        if focused(desk) == name:
            return
        desk.page.keyboard.press(key)
    raise AssertionError(f"{key} never led to {name}; it stands at {focused(desk)}")


def changed(desk: Any, count: int) -> list[str]:
    """What stands on the table, once there are so many changes."""
    changes = desk.get("table-changes").locator("li")
    desk.page.wait_for_function(f"document.querySelectorAll('[data-testid=table-changes] li').length === {count}")
    return changes.all_inner_texts()


def test_a_kernel_is_changed_measured_and_given_back_by_keyboard(inside: Any) -> None:
    page, keys = inside.page, inside.page.keyboard
    tab_to(inside, "tab-table")
    keys.press("Enter")
    at(inside, "table")
    inside.get("weight-0-0").wait_for()
    tab_to(inside, "weight-0-0")
    before = inside.get("weight-0-0").input_value()
    keys.press("Control+a")
    keys.type("9")
    keys.press("Tab")
    keys.press("Control+a")
    keys.type("-1.2")  # half typed while the fields are built anew with the first change
    assert changed(inside, 1) == [text for text in changed(inside, 1) if "row 1, column 1" in text]
    page.wait_for_function("document.querySelector('[data-testid=weight-0-0]').value === '9.000'")
    assert focused(inside) == "weight-0-1" and inside.get("weight-0-1").input_value() == "-1.2"
    keys.type("5")
    keys.press("Enter")
    assert "row 1, column 2" in changed(inside, 2)[1]
    page.wait_for_function("document.querySelector('[data-testid=weight-0-1]').value === '-1.250'")
    assert focused(inside) == "weight-0-1"
    inside.get("table-measured").filter(has_text="test images,").wait_for(timeout=60_000)
    tab_to(inside, "table-kernel", "Shift+Tab")
    keys.press("ArrowUp")
    page.wait_for_function("document.querySelector('[data-testid=table-zero]').textContent === 'Zero kernel 2'")
    page.wait_for_function("document.querySelector('[data-testid=table-kernel]').value === '2'")
    assert focused(inside) == "table-kernel"
    tab_to(inside, "table-zero")
    keys.press("Enter")
    assert "kernel 2" in changed(inside, 3)[2]
    page.wait_for_function("document.querySelector('[data-testid=weight-0-0]').value === '0.000'")
    assert focused(inside) == "table-zero"
    tab_to(inside, "table-undo", "Shift+Tab")
    for left in (2, 1, 0):
        keys.press("Enter")
        changed(inside, left)
    tab_to(inside, "table-kernel")
    keys.press("ArrowDown")
    page.wait_for_function(f"document.querySelector('[data-testid=weight-0-0]').value === '{before}'")


def test_poolings_are_swapped_and_an_offer_is_taken_by_keyboard(inside: Any) -> None:
    page, keys = inside.page, inside.page.keyboard
    tab_to(inside, "tab-table")
    keys.press("Enter")
    at(inside, "table")
    tab_to(inside, "table-layer")
    while inside.get("table-layer").input_value() != "pool1":
        keys.press("ArrowDown")
    inside.get("table-pooling").wait_for()
    tab_to(inside, "table-pooling")
    keys.press("ArrowDown")
    assert "average" in changed(inside, 1)[0]
    page.wait_for_function("document.querySelector('[data-testid=compare-words]').textContent.startsWith('pool1')")
    assert focused(inside) == "table-pooling" and inside.get("table-pooling").input_value() == "average"
    tab_to(inside, "table-stride")
    keys.press("ArrowDown")
    inside.get("table-offer").wait_for()  # flatten refuses it
    assert focused(inside) == "table-stride"
    tab_to(inside, "table-offer", "Shift+Tab")
    keys.press("Enter")
    page.wait_for_function("!document.querySelector('[data-testid=table-free]').hidden", timeout=60_000)
    changed(inside, 2)
    assert focused(inside) == "table-layer"
    tab_to(inside, "table-own", "Shift+Tab")
    keys.press("Enter")
    page.wait_for_function("document.querySelector('[data-testid=table-free]').hidden")
    changed(inside, 1)
    tab_to(inside, "table-undo", "Shift+Tab")
    keys.press("Enter")
    changed(inside, 0)
    inside.get("table-layer").select_option("conv1")  # as others find it
