"""One object for each thing a visitor can do: it gives the button, the shortcut and the line in the help."""

from pyscript import document
from ui import dom

actions: list = []
_typing = ("INPUT", "TEXTAREA", "SELECT")


class Action:
    """What it is called, what it does, and by which key: "z" alone, or "ctrl+z" (Command on a Mac)."""

    def __init__(self, name, title, run, keys=(), icon="", enabled=None, pressed=None):
        self.name, self.title, self.run, self.keys, self.icon = name, title, run, keys, icon
        self.enabled, self.pressed = enabled, pressed
        self.words = title  # the line in the help, where the button's few words are not enough
        self.element = None
        actions.append(self)

    def button(self, into, worded: bool = True):
        """Make this action's button."""
        element = dom.make("button", "", into, type="button", class_="button", data_testid=self.name)
        element.innerHTML = dom.icon(self.icon) if self.icon else ""
        if worded or not self.icon:
            dom.make("span", self.title, element)
        else:
            element.setAttribute("aria-label", self.title)
        hint = f"{self.title} ({spelled(self.keys[0])})" if self.keys else self.title
        element.setAttribute("title", hint)
        if self.keys:
            element.setAttribute("aria-keyshortcuts", " ".join([aria(key) for key in self.keys]))
        dom.listen(element, "click", lambda event: self.perform())
        self.element = element
        return element

    def perform(self) -> None:
        """Do it, if it can be done now."""
        if self.enabled is None or self.enabled():
            self.run()

    def refresh(self) -> None:
        """Show on the button whether it can be done, and whether it is switched on."""
        if self.element is None:
            return
        if self.enabled is not None:
            self.element.setAttribute("aria-disabled", "false" if self.enabled() else "true")
        if self.pressed is not None:
            self.element.setAttribute("aria-pressed", "true" if self.pressed() else "false")


def spelled(key: str) -> str:
    """A key as people write it: "ctrl+shift+z" becomes "Ctrl+Shift+Z"."""
    return "+".join([part[0].upper() + part[1:] for part in key.split("+")])


def aria(key: str) -> str:
    """A key as the aria-keyshortcuts attribute wants it."""
    return spelled(key).replace("Ctrl", "Control")


def pressed_key(event) -> str:
    """The key of an event in the spelling of `Action.keys`."""
    parts = []
    if event.ctrlKey or event.metaKey:
        parts.append("ctrl")
    key = event.key
    if event.shiftKey and (parts or len(key) > 1):  # the shift of "?" is part of the character
        parts.append("shift")
    parts.append(key.lower())
    return "+".join(parts)


def single_keys() -> bool:
    """Whether keys without Ctrl are shortcuts: speech input users may want them off."""
    return dom.kept("keys") != "off"


def on_key(event) -> None:
    """Find and perform the action of a key press."""
    target = event.target
    if event.altKey or event.defaultPrevented or not event.key:
        return
    if target.tagName in _typing and target.getAttribute("type") not in ("range", "radio", "checkbox"):
        return
    key = pressed_key(event)
    if "+" not in key[:-1] and not single_keys():
        return
    if document.querySelector("dialog[open]") and key != "?":
        return
    for action in actions:
        if key in action.keys:
            event.preventDefault()
            action.perform()
            return


def refresh() -> None:
    """Bring all buttons up to date."""
    for action in actions:
        action.refresh()


dom.listen(document, "keydown", on_key)
