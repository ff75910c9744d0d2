"""The birth certificate of a number: how it was made, term by term, one layer below the other, down to the ink."""

from pyscript import window
from ui import dom
from ui.inside import parts
from ui.worker import EngineError

MOST, ALL = 12, 4000  # terms written out at first, and when all are asked for


class Certificate:
    """`changed()` when the path has changed: the address and the view follow."""

    def __init__(self, into, host, changed) -> None:
        self.host, self.changed = host, changed
        self.box = dom.make("section", "", into, class_="certificate", aria_labelledby="certificate-title")
        self.box.setAttribute("data-testid", "certificate")
        self.box.hidden = True
        head = dom.make("div", "", self.box, class_="certificate-head")
        dom.make("h3", "How this number was made", head, id="certificate-title")
        close = dom.make(
            "button", "Close", head, type="button", class_="button outlined", data_testid="certificate-close"
        )
        dom.listen(close, "click", lambda event: self.close())
        self.levels = dom.make("ol", "", self.box, class_="levels")
        self.path, self.answers, self.all, self.model = [], [], set(), ""
        self.fresh, self.came_from, self.refused = False, None, ""
        dom.listen(self.levels, "click", self._click)

    def read(self, text: str) -> None:
        """The path of an address. Where a number elsewhere on the page led here, the keyboard follows."""
        self.path = []
        for part in text.split("~") if text else []:
            layer, _, index = part.partition(":")
            self.path.append((layer, parts.parsed(index)))
        if self.host.asked:
            self.fresh, self.came_from = True, window.document.activeElement

    def written(self) -> str:
        """The path for an address."""
        return "~".join([parts.address(layer, index) for layer, index in self.path])

    def open(self, layer: str, index) -> None:
        """Begin with a number."""
        self.path, self.all = [(layer, list(index))], set()
        self.came_from = window.document.activeElement
        self.fresh = True
        self.changed()

    def deeper(self, level: int, layer: str, index) -> None:
        """One of the terms of a level: it stands below it."""
        self.path = self.path[: level + 1] + [(layer, list(index))]  # noqa: RUF005
        self.fresh = True
        self.changed()

    def back(self) -> bool:
        """One level up; whether there was one."""
        if not self.path:
            return False
        self.path = self.path[:-1]
        self.fresh = bool(self.path)
        if not self.path:
            self._gone()
        self.changed()
        return True

    def close(self) -> None:
        """Fold it up."""
        self.path = []
        self._gone()
        self.changed()

    def _gone(self) -> None:
        if self.came_from is not None and self.came_from.isConnected:
            window.early.focus(self.came_from)

    async def update(self, model: str, blank: bool):
        """Ask for every level again; gives the deepest answer, or None."""
        self.box.hidden, self.model, self.refused = not self.path, model, ""
        if not self.path:
            self.levels.replaceChildren()
            return None
        answers = []
        for level, (layer, index) in enumerate(list(self.path)):
            most = ALL if level in self.all else MOST
            about = {"model": model, "layer": layer, "index": index, "most": most, "blank": blank}
            try:
                answers.append(await self.host.ask("certificate", **about))
            except EngineError:  # another network has been chosen, or the address names what no network has
                self._cut(level, model)
                break
        self.answers = answers
        if not answers:
            return None
        deepest = len(answers) - 1
        self.levels.innerHTML = "".join([_level(k, answer, self.path, deepest) for k, answer in enumerate(answers)])
        if self.fresh:
            self.fresh = False
            title = self.levels.querySelector(f'[data-level="{deepest}"] .level-title')
            if title:
                window.early.focus(title)
                title.scrollIntoView(window.JSON.parse('{"block": "nearest"}'))
            self.host.say(answers[-1].spoken, 150)
        return answers[-1]

    def _cut(self, level: int, model: str) -> None:
        """What this network does not have is folded up again, with all that stood below it."""
        self.refused = f"{model} has no number {parts.address(*self.path[level])}: what was unfolded from it is closed."
        self.path = self.path[:level]
        self.box.hidden = not self.path
        if self.box.hidden:
            self.levels.replaceChildren()
        self.host.remember()

    def _click(self, event) -> None:
        button = event.target.closest("button")
        if not button:
            return
        level = int(button.closest("[data-level]").getAttribute("data-level"))
        if button.hasAttribute("data-term"):
            event.stopPropagation()
            layer, _, index = button.getAttribute("data-term").partition(":")
            self.deeper(level, layer, parts.parsed(index))
        elif button.hasAttribute("data-all"):
            self.all.add(level)
            self.changed()
        elif button.hasAttribute("data-copy"):
            dom.run(self._copy(level))

    async def _copy(self, level: int) -> None:
        """The number as a program: on the clipboard, and in a field to copy from by hand."""
        layer, index = self.path[level]
        host = self.host
        blank = host.reading is None or host.reading.blank
        found = await host.ask("program", model=self.model, layer=layer, index=index, blank=blank)
        line = self.levels.querySelector(f'[data-level="{level}"] .program')
        if line is None:
            return
        line.hidden = False
        field, said = line.querySelector("textarea"), line.querySelector("p")
        field.value = found.text
        done = await window.early.copy(found.text)
        words = "A program in plain NumPy is on the clipboard; run it with Python and it prints this number."
        if not done:
            words = "The browser did not let the program onto the clipboard. It stands here: copy it by hand."
            field.focus()
            field.select()
        said.textContent = words
        host.say(words)


def _level(level: int, answer, path, deepest: int) -> str:
    """Mark-up of one level."""
    number = _fine(answer.value)
    chosen = path[level + 1] if level < deepest else None
    rows = [_term(answer, term, k, chosen) for k, term in enumerate(answer.terms)]
    if answer.rest_count:
        words = parts.many(answer.rest_count, "smaller term")
        more = f'<button type="button" class="num" data-all="yes">and {words}</button>'
        rows.append((more, "", "", "", parts.signed(answer.rest_sum, 4)))
    if answer.has_bias:
        rows.append(("bias", "", "", "", parts.signed(answer.bias, 4)))
    if answer.additive:
        rows.append(("<b>sum</b>", "", "", "", f"<b>{parts.signed(answer.total, 4)}</b>"))
    if answer.kind == "softmax":
        rows += _divided(answer)
        heads = ("Made of", "value", "", f"{parts.MINUS} largest", "exponential")
    else:
        gives = "product" if answer.has_weights else "value"
        heads = ("Made of", "value", "", "weight" if answer.has_weights else "", gives)
    table = parts.table(heads, rows, "Terms, the largest first") if rows else ""
    field = f"It sees {answer.box_words} of the 28 \u00d7 28."
    ink = _ink(answer)
    return (
        f'<li data-level="{level}" data-testid="level-{level}"><h4 class="level-title" tabindex="-1">'
        f"{answer.layer}, {answer.place}: <b>{number}</b></h4>"
        f'<p class="rule">{_safe(answer.rule)}</p><p class="words">{field}{ink}</p>'
        f'<div class="scroll terms" tabindex="0" role="group" aria-label="Terms of {answer.layer}">{table}</div>'
        '<p class="level-actions"><button type="button" class="button outlined" data-copy="yes" '
        f'data-testid="copy-{level}">Copy as NumPy</button><code>{answer.python}</code></p>'
        '<div class="program" hidden><p class="words" role="status"></p>'
        f'<textarea readonly rows="8" aria-label="Program that prints this number"></textarea></div></li>'
    )


def _term(answer, term, place: int, chosen) -> tuple:
    """A row: where it comes from, its value, its weight, what it gives."""
    index = [int(k) for k in term.index]
    now = ""
    if chosen and chosen[0] == answer.source and list(chosen[1]) == index:
        now = ' aria-current="true"'
    words = f"{answer.source}, {term.place}"
    if term.outside:
        source = "padding, outside the map"
    else:
        address = parts.address(answer.source, index)
        source = f'<button type="button" class="num" data-term="{address}"{now}>{words}</button>'
    if place == int(answer.winner):
        source += " <b>the largest</b>"
    value = parts.number(term.value, 4)
    if answer.kind == "softmax":
        return (source, value, "", parts.number(term.shifted, 4), _fine(term.gives))
    if not answer.has_weights:
        return (source, "", "", "", _fine(term.gives))
    return (source, value, parts.TIMES, parts.signed(term.weight, 4), parts.signed(term.gives, 4))


def _divided(answer) -> list:
    """The last steps of a softmax: what was taken off each score, the sum of the exponentials, and the division."""
    by, total = answer.division, parts.number(answer.division.sum, 4)
    return [
        (f"the largest, {by.place}", parts.number(by.largest, 4), "", "", ""),
        ("<b>sum</b> of the exponentials", "", "", "", total),
        (f"<b>{answer.place}</b>", _fine(by.own), "\u00f7", total, f"<b>{_fine(by.share)}</b>"),
    ]


def _fine(value: float) -> str:
    if value and abs(value) < 0.00005:
        return f"{value:.1e}".replace("-", parts.MINUS)
    return parts.number(value, 4)


def _ink(answer) -> str:
    """The strokes behind a pixel."""
    said = []
    for stroke in answer.strokes:
        said.append(f"stroke {int(stroke.number)} ({dom.percent(stroke.share, 0)})")
    return f" Inked by {', '.join(said)}." if said else ""


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
