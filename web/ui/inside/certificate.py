"""The birth certificate of a number: how it was made, term by term, one layer below the other, down to the ink."""

import json

from pyscript import window
from ui import dom
from ui.inside import cells, parts
from ui.inside.figures import line, pour
from ui.worker import EngineError

MOST, ALL = 12, 4000  # terms written out at first, and when all are asked for
A_PART = 60  # terms read at a time: what is written in a turn
A_FEW = 4  # levels written in a turn
FRAME = (
    '<h4 class="level-title" tabindex="-1"></h4><p class="rule"></p><p class="words"></p><ul class="made-line"></ul>'
    '<div class="scroll terms" tabindex="0" role="group"></div>'
    '<p class="level-actions"><button type="button" class="button outlined" data-copy="yes" '
    'data-testid="copy-{}">Copy as NumPy</button><code></code></p>'
    '<div class="program" hidden><p class="words" role="status"></p>'
    '<textarea readonly rows="8" aria-label="Program that prints this number"></textarea></div>'
)


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
        self.path, self.all, self.model = [], set(), ""
        self.fresh, self.came_from, self.came_of, self.refused = False, None, "", ""
        self.lost = False  # the keyboard could not go back to where it came from: it is gone
        self.version, self.unfolding = 0, -1  # of what is written; the level whose terms were all asked for
        dom.listen(self.levels, "click", self._click)

    def read(self, text: str) -> None:
        """The path of an address. Where a number elsewhere on the page led here, the keyboard follows."""
        self.path = []
        for part in text.split("~") if text else []:
            layer, _, index = part.partition(":")
            self.path.append((layer, parts.parsed(index)))
        if self.host.asked:
            self.fresh = True
            self._comes()

    def written(self) -> str:
        """The path for an address."""
        return "~".join([parts.address(layer, index) for layer, index in self.path])

    def open(self, layer: str, index) -> None:
        """Begin with a number."""
        self.path, self.all = [(layer, list(index))], set()
        self._comes()
        self.fresh = True
        self.changed()

    def _comes(self) -> None:
        """From where the keyboard was, and comes back to when this is closed."""
        self.came_from = window.document.activeElement
        self.came_of = (self.came_from.getAttribute("data-cell") or "") if self.came_from else ""

    def deeper(self, level: int, layer: str, index) -> None:
        """One of the terms of a level: it stands below it."""
        self.path = self.path[: level + 1] + [(layer, list(index))]  # noqa: RUF005
        self.all = {one for one in self.all if one <= level}
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
        where = cells.like(self.came_from, self.came_of, self.box.parentElement)
        self.lost = where is None or not where.isConnected
        if not self.lost:
            window.early.focus(where)

    async def update(self, model: str, blank: bool):
        """Ask for every level again; gives the deepest answer, or None."""
        self.box.hidden, self.model, self.refused = not self.path, model, ""
        self.version += 1
        if not self.path:
            self.levels.replaceChildren()
            return None
        answers, path = [], list(self.path)  # which may change while one asks, and is then followed anew
        for level, (layer, index) in enumerate(path):
            most = ALL if level in self.all else MOST
            about = {"model": model, "layer": layer, "index": index, "most": most, "blank": blank}
            try:
                answers.append(await self.host.ask("certificate", **about))
            except EngineError:  # another network has been chosen, or the address names what no network has
                if self.path[: level + 1] == path[: level + 1]:
                    self._cut(level, model)
                break
        if not answers:
            return None
        for level, answer in enumerate(answers):
            item = self._item(level, parts.address(*path[level]))
            _head(item, answer, f"{model} {self.host.version()}")
            await self._terms(item, level, answer, path[level + 1] if level + 1 < len(answers) else None)
            if level % A_FEW == A_FEW - 1:
                await dom.turn()
        while self.levels.children.length > len(answers):
            self.levels.lastElementChild.remove()
        if self.fresh and path == self.path:
            self.fresh = False
            title = self.levels.lastElementChild.querySelector(".level-title")
            window.early.focus(title)
            self._into_sight(title if len(answers) > 1 else self.box)
            self.host.say(answers[-1].spoken, 150)
        return answers[-1]

    def _into_sight(self, element) -> None:
        """What has just been unfolded begins where it can be read on: in the upper half, else below the dock. At once,
        without motion."""
        room, top = window.innerHeight, element.getBoundingClientRect().top
        if top > room / 2 or top < float(window.getComputedStyle(element).scrollMarginTop[:-2] or 0):
            element.scrollIntoView()

    def _item(self, level: int, address: str):
        """The element of a level: the one that stands there, if it is of the same number. What has the keyboard keeps
        it so, whatever is drawn."""
        items = self.levels.children
        if level < items.length and items[level].getAttribute("data-of") == address:
            return items[level]
        while items.length > level:
            self.levels.lastElementChild.remove()
        item = dom.make("li", "", self.levels, data_level=level, data_testid=f"level-{level}", data_of=address)
        item.innerHTML = FRAME.format(level)
        return item

    async def _terms(self, item, level: int, answer, chosen) -> None:
        """The table of a level, of which the term `chosen` is unfolded below. Where it is long, it is written while the
        page already goes on."""
        box = item.querySelector(".terms")
        box.hidden = not answer.count
        if box.hidden:
            return
        if box.getAttribute("aria-label") != f"Terms of {answer.layer}":
            box.setAttribute("aria-label", f"Terms of {answer.layer}")
        box.setAttribute("data-long", "yes" if answer.terms.length > A_PART else "no")
        version = self.version
        lines, caption = _lines(answer, chosen), f"Terms, {answer.ordered}"
        written = pour(box, _heads(answer), lines, caption, lambda: version == self.version and item.isConnected)
        if answer.terms.length > MOST:
            dom.run(written)
        else:
            await written
        if level == self.unfolding:
            self.unfolding = -1
            self.host.say(f"All {parts.many(answer.count, 'term')}, {answer.ordered}.", 150)

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
            self.unfolding = level
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


def _head(item, answer, drawn: str) -> None:
    """What stands above the terms of a level, and the program, which is of one drawing."""
    field = f"It sees {answer.box_words} of the 28 \u00d7 28."
    for name, text in (
        (".level-title", f"{answer.layer}, {answer.place}: <b>{_fine(answer.value)}</b>"),
        (".rule", _safe(answer.rule)),
        (".words", field + _ink(answer)),
        (".made-line", _line(answer.line) if answer.line else ""),
        ("code", answer.python),
    ):
        element = item.querySelector(name)
        if element.innerHTML != text:
            element.innerHTML = text
    if item.getAttribute("data-drawn") != drawn:
        item.setAttribute("data-drawn", drawn)
        item.querySelector(".program").hidden = True


def _line(found) -> str:
    """How the scale and the shift of a batch norm came about."""
    deviation, scale = _fine(found.deviation), _fine(found.scale)
    mean = _fine(found.mean) if found.mean >= 0 else f"({_fine(found.mean)})"
    return (
        f"<li>deviation = \u221a(variance + epsilon) = \u221a({_fine(found.variance)} + {_fine(found.epsilon)}) = "
        f"{deviation}</li>"
        f"<li>scale = gamma \u00f7 deviation = {_fine(found.gamma)} \u00f7 {deviation} = {scale}</li>"
        f"<li>shift = beta {parts.MINUS} mean \u00d7 scale = {_fine(found.beta)} {parts.MINUS} {mean} \u00d7 {scale} = "
        f"{_fine(found.shift)}</li>"
    )


def _heads(answer) -> tuple:
    if answer.kind == "softmax":
        return ("Made of", "value", "", f"{parts.MINUS}\u00a0largest", "exponential")
    if not answer.has_weights:
        return ("Made of", "", "", "", "value")
    return ("Made of", "value", "", "scale" if answer.line else "weight", "product")


def _lines(answer, chosen):
    """The terms, some at a time across to here, then what is added to them, and what that makes."""
    terms = answer.terms
    for first in range(0, terms.length, A_PART):
        some = json.loads(window.JSON.stringify(terms.slice(first, first + A_PART)))
        for k, term in enumerate(some):
            yield line(_term(answer, term, first + k, chosen))
    rows = []
    if answer.rest_count:
        words = parts.many(answer.rest_count, "smaller term")
        more = f'<button type="button" class="num" data-all="yes">and {words}</button>'
        rows.append((more, "", "", "", parts.signed(answer.rest_sum, 4)))
    if answer.has_bias:
        rows.append(("shift" if answer.line else "bias", "", "", "", parts.signed(answer.bias, 4)))
    if answer.additive:
        rows.append(("<b>sum</b>", "", "", "", f"<b>{parts.signed(answer.total, 4)}</b>"))
    if answer.kind == "softmax":
        rows += _divided(answer)
    for row in rows:
        yield line(row)


def _term(answer, term: dict, place: int, chosen) -> tuple:
    """A row: where it comes from, its value, its weight, what it gives."""
    index, now = term["index"], ""
    if chosen and chosen[0] == answer.source and list(chosen[1]) == index:
        now = ' aria-current="true"'
    if term["outside"]:
        source = "padding, outside the map"
    else:
        address, words = parts.address(answer.source, index), f"{answer.source}, {term['place']}"
        source = f'<button type="button" class="num" data-term="{address}"{now}>{words}</button>'
    if place == int(answer.winner):
        equal = int(answer.tied)
        words = f"the first of {equal} equal" if equal > 1 else "the largest"
        source += f" <b>{words}</b>"
    value = parts.number(term["value"], 4)
    if answer.kind == "softmax":
        return (source, value, "", parts.number(term["shifted"], 4), _fine(term["gives"]))
    if not answer.has_weights:
        return (source, "", "", "", _fine(term["gives"]))
    return (source, value, parts.TIMES, parts.signed(term["weight"], 4), parts.signed(term["gives"], 4))


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
