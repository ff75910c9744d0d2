"""The shortcuts, written out from the same objects that make the buttons."""

from ui import actions, bars, dom, sheet, views
from ui.keyboard import KEYS


def toggle() -> None:
    """Open the list, or close what is open."""
    if sheet.is_open():
        sheet.close()
        return
    body = sheet.opened("Keys")
    table = dom.make("dl", "", body, class_="keys")
    for action in actions.actions:
        if action.keys:
            _line(table, [actions.spelled(key) for key in action.keys], action.words)
    for title, lines in views.keys() + [("On the pad", KEYS), ("On the probabilities", bars.KEYS)]:  # noqa: RUF005  (not in MicroPython)
        dom.make("h3", title, body)
        table = dom.make("dl", "", body, class_="keys")
        for keys, words in lines:
            _line(table, [keys], words)
    label = dom.make("label", "", body, class_="choice")
    box = dom.make("input", "", label, type="checkbox")
    box.checked = actions.single_keys()
    dom.make("span", "Single keys are shortcuts. Switch this off if you speak to your computer.", label)
    dom.listen(box, "change", lambda event: dom.keep("keys", "on" if box.checked else "off"))


def _line(table, keys: list, words: str) -> None:
    term = dom.make("dt", "", table)
    for i, key in enumerate(keys):
        if i:
            term.append(" or ")
        dom.make("kbd", key, term)
    dom.make("dd", words, table)
