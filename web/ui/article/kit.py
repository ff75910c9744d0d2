"""What the article's figures share: asking the core, controls, small matrices, curves, maps.

A figure shows what the core answers and computes nothing itself: numbers here are only laid out on the page.
"""

import json

from pyscript import document, window
from ui import dom
from ui.inside.figures import Figures, Grid

MINUS, TIMES, THIN = "\u2212", "\u00d7", "\u202f"
HATCHED = 6  # pixels a cell, from which on pixels.js hatches what is below 0
LARGEST = 1e9  # of a number that is sent to the core, which has bounds of its own
SETTLED = 400  # ms without another answer, after which one is spoken: a slider gives many


def number(value, digits: int = 2) -> str:
    """With a minus sign proper, never as "-0.00"."""
    text = f"{float(value):.{digits}f}"
    if float(text) == 0:
        text = text.replace("-", "")
    return text.replace("-", MINUS)


def exact(value, least: int = 2) -> str:
    """With all its decimals up to the fourth, and at least so many: "0.80", "0.125"."""
    whole, _, rest = number(value, 4).partition(".")
    rest = rest.rstrip("0")
    return f"{whole}.{rest}{'0' * (least - len(rest))}"


def added(values, bias, write=number) -> str:
    """A sum written out, the bias at its end: "0.80 − 0.20 + 0.10"."""
    return " + ".join([write(value) for value in values] + [write(bias)]).replace("+ " + MINUS, MINUS + " ")


def power(value, digits: int = 0) -> str:
    """A very small number: "5·10⁻⁷", or with more of its digits."""
    if not value:
        return "0"
    size, exponent = f"{value:.{digits}e}".split("e")
    signs = "".join(["⁰¹²³⁴⁵⁶⁷⁸⁹"[int(sign)] if sign != "-" else "⁻" for sign in str(int(exponent))])
    return f"{size}·10{signs}"


def integers(packed) -> dict:
    """The whole numbers of a plain object, by name: a number beyond 31 bits does not cross as it is."""
    return {name: int(value) for name, value in json.loads(window.JSON.stringify(packed)).items()}


def short(value) -> str:
    """As few digits as an input field needs, with a minus sign proper."""
    text = f"{float(value):.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text.replace("-", MINUS)


def read(text: str) -> float:
    """The number that somebody has typed: with either minus, and a comma too. ValueError for anything else."""
    value = float(text.strip().replace(MINUS, "-").replace(",", "."))
    if not abs(value) < LARGEST:
        raise ValueError(text)
    return value


def bytes_of(size) -> str:
    """Bytes in units of a thousand."""
    size, units = float(size), ["B", "kB", "MB", "GB"]
    if size < 1000:
        return f"{size:.0f} B"
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}"


def floats(array) -> list:
    """The numbers of a packed array: one crossing for all of them."""
    text = array.values.join(" ")
    return [float(word) for word in text.split()] if text else []


def escaped(text: str) -> str:
    """Text of the core within mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


class Figure:
    """One live figure. `ask()` after every change of `args`; `show(data)` gets the core's answer."""

    follows = False  # whether it is about the drawing

    def __init__(self, root, asked) -> None:
        self.root, self.name, self.asked = root, root.getAttribute("data-live"), asked
        self.args, self.data, self.stale, self.visible = {}, None, True, False
        self.live, self.wished = False, False
        self.body = dom.make("div", "", None, class_="live-body")
        self.root.insertBefore(self.body, root.querySelector("figcaption"))
        self.note = dom.make("p", "", root, class_="live-note")
        self.note.hidden = True
        self.build()

    def build(self) -> None:
        """Make the controls and the places of the numbers, once."""

    def show(self, data) -> None:
        """Bring the numbers up to date."""

    def pictures(self) -> list:
        """The numbers of the pictures shown."""
        return []

    def tables(self, title: str):
        """A folded panel for the numbers of the pictures."""
        pictures = lambda: self.pictures() if self.data is not None else ""  # noqa: E731
        return Figures(self.body, title, pictures, self.name + "-figures")

    def ask(self, aloud: bool = True) -> None:
        """The visitor has changed something. `aloud`: a screen reader says the answer."""
        self.stale, self.wished = True, aloud
        self.asked()

    def answered(self, data, live: bool) -> None:
        """An answer of the core, or what the site was built with."""
        self.data, self.live = data, live
        self.show(data)
        self.root.setAttribute("data-state", "live" if live else "example")
        self.say("" if live else "Python is on its way. Until it is here, this is an example.")
        if live:
            self.speak(self.spoken())

    def refused(self, sentence: str) -> None:
        """The core's sentence about what cannot be."""
        self.say(sentence)
        self.speak(sentence)

    def spoken(self) -> str:
        """What a screen reader says of the answer: the line in which the figure sums it up."""
        line = self.body.querySelector(".live-total")
        return line.textContent if line else ""

    def speak(self, sentence: str) -> None:
        """Once, if the visitor has asked for it and for nothing newer; what only follows the drawing says nothing."""
        if self.stale or not self.wished:
            return
        self.wished = False
        if sentence:
            dom.speak(sentence, SETTLED)

    def say(self, sentence: str) -> None:
        """A sentence under the figure; an empty one takes it away."""
        self.note.textContent = sentence
        self.note.hidden = not sentence

    def repaint(self) -> None:
        """After a change of theme."""
        if self.data is not None:
            self.show(self.data)

    def legend(self, words: str, signed: bool = False, plain: bool = True) -> None:
        """What the colours of the pictures above mean; `words`: the value of full ink."""
        parts = [f'<span>0<i class="plain"></i>{words}</span>'] if plain else []
        if signed:
            parts.append(f'<span>{MINUS}<i class="signed"></i>+ (below 0 also hatched)</span>')
        dom.make("p", "", self.body, class_="legend").innerHTML = "".join(parts)

    # -- controls ----------------------------------------------------------------------------------------------
    def controls(self):
        """A row for controls."""
        return dom.make("div", "", self.body, class_="live-controls")

    def slider(self, into, words: str, name: str, low, high, value, step=1):
        """A slider for an argument; its value stands beside it."""
        label = dom.make("label", "", into, class_="live-slider")
        dom.make("span", words, label)
        field = dom.make("input", "", label, type="range", min=low, max=high, step=step, value=value)
        shown = dom.make("output", short(value), label)
        self.args[name] = value

        def moved(event) -> None:
            self.args[name] = float(field.value) if step != int(step) else int(float(field.value))
            shown.textContent = short(self.args[name])
            self.ask()

        dom.listen(field, "input", moved)
        return field

    def switch(self, into, words: str, name: str, value: bool = False):
        """A check box for an argument."""
        label = dom.make("label", "", into, class_="live-switch")
        field = dom.make("input", "", label, type="checkbox")
        field.checked = value
        dom.make("span", words, label)
        self.args[name] = value

        def changed(event) -> None:
            self.args[name] = bool(field.checked)
            self.ask()

        dom.listen(field, "change", changed)
        return field

    def choice(self, into, words: str, options, chosen):
        """A list to choose from: (value, words) each; `chosen(value)`."""
        label = dom.make("label", "", into, class_="live-choice")
        dom.make("span", words, label)
        field = dom.make("select", "", label)
        for value, text in options:
            dom.make("option", text, field, value=value)
        dom.listen(field, "change", lambda event: chosen(field.value))
        return field

    def button(self, into, words: str, pressed, label: str = ""):
        """A button; `label` where its words are only a sign."""
        element = dom.make("button", words, into, type="button", class_="button")
        if label:
            element.setAttribute("aria-label", label)
        dom.listen(element, "click", lambda event: pressed())
        return element

    def fields(self, into, rows: int, columns: int, words: str, values, step=0.5) -> list:
        """A matrix of number fields; `words` names it for those who hear the page."""
        alone = rows * columns == 1
        grid = dom.make("div", "", into, class_="fields")
        if not alone:
            grid.setAttribute("role", "group")
            grid.setAttribute("aria-label", words)
        grid.style.setProperty("--columns", str(columns))
        found = []
        for at in range(rows * columns):
            place = f"{words}, row {at // columns + 1}, column {at % columns + 1}"
            place = place if rows > 1 else words if alone else f"{words}, number {at + 1}"
            found.append(self.field(grid, values[at], step))
            found[-1].setAttribute("aria-label", place)
        return found

    def field(self, into, value, step=0.5):
        """A field for one number. No number field of the browser's: that one knows no minus sign."""
        field = dom.make("input", "", into, type="text", class_="number", value=short(value), autocomplete="off")
        field.setAttribute("spellcheck", "false")

        def key(event) -> None:
            if event.key not in ("ArrowUp", "ArrowDown"):
                return
            event.preventDefault()
            try:
                field.value = short(read(field.value) + (step if event.key == "ArrowUp" else -step))
            except ValueError:
                return
            self.typed()

        def left(event) -> None:
            field.value = field.value.replace("-", MINUS)

        dom.listen(field, "input", lambda event: self.typed())
        dom.listen(field, "keydown", key)
        dom.listen(field, "change", left)
        return field

    def typed(self) -> None:
        """A number field has changed."""

    def numbers(self, fields):
        """The fields' numbers; None, with a word about it, while one of them is no number."""
        try:
            found = [read(field.value) for field in fields]
        except ValueError:
            self.say("Each field needs a number.")
            return None
        return found


class Timed(Figure):
    """A figure that can also measure on this machine, once a press; its next change goes without."""

    def timer(self, words: str) -> None:
        """The button, and the place of what it finds."""
        row = self.controls()
        self.button(row, words, self.time)
        self.times = dom.make("span", "", row, role="status")

    def time(self) -> None:
        """Ask once with a measurement."""
        self.args["timed"] = True
        self.times.textContent = "Timing …"
        Figure.ask(self, False)  # the place of the result speaks for itself

    def ask(self, aloud: bool = True) -> None:
        """Any other change."""
        self.args["timed"] = False
        self.times.textContent = ""
        Figure.ask(self, aloud)

    def say(self, sentence: str) -> None:
        """A refusal takes the word of the timing away."""
        Figure.say(self, sentence)
        if sentence:
            self.times.textContent = ""


def fill(fields, values) -> None:
    """Put the core's numbers into the fields that the visitor is not in."""
    for field, value in zip(fields, values):  # noqa: B905  (not in MicroPython)
        text = short(value)
        if field.value != text and not field.isSameNode(document.activeElement):
            field.value = text


def grid(values, columns: int, peak=None, signed: bool = True, marks=None, words: str = "", digits: int = 2) -> str:
    """Mark-up of a matrix of numbers, coloured by value; `marks`: by place, whether the cell stands out."""
    peak = peak or max([abs(value) for value in values] + [1e-9])
    lines = []
    for start in range(0, len(values), columns):
        cells = []
        for at in range(start, min(start + columns, len(values))):
            value = values[at]
            kind = "n" if value < 0 else "p" if signed else "k"
            mark = ' data-mark="yes"' if marks and marks[at] else ""
            share = min(1.0, abs(value) / peak)
            cells.append(f'<td class="{kind}" style="--s:{share:.2f}"{mark}>{number(value, digits)}</td>')
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return f'<table class="grid" aria-label="{words}"><tbody>{"".join(lines)}</tbody></table>'


def table(heads, rows) -> str:
    """Mark-up of a table: the words of the columns, rows of texts; the first of a row names it."""
    head = "".join([f'<th scope="col">{text}</th>' if text else "<td></td>" for text in heads])
    lines = []
    for row in rows:
        cells = "".join([f"<td>{text}</td>" for text in row[1:]])
        lines.append(f'<tr><th scope="row">{row[0]}</th>{cells}</tr>')
    return f'<table class="counts"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def numbers_of(words: str, array, place: int = 0):
    """A packed array (H, W) as a table, or the map `place` of one (.., H, W)."""
    shape = array.shape
    return Grid(words, array.values, shape[shape.length - 2], shape[shape.length - 1], place)


def capital(words: str) -> str:
    """With a capital letter."""
    return words[0].upper() + words[1:]


def paint(canvas, values, width: int, height: int, peak, signed: bool, first: int = 0, across: int = 0) -> None:
    """The map `first` of `values`. Signed ones in cells large enough to be hatched below 0; `across`: pixels in all."""
    zoom = max(HATCHED, across // max(width, height)) if signed else 1
    window.pixels.maps(canvas, values, width, height, 1, 1, peak or 1, signed, 0, zoom, first)
    canvas.setAttribute("data-signed", "yes" if signed else "no")


class Map:
    """A canvas for one map or image, with a layer of marks over it, and words for those who do not see it."""

    def __init__(self, into, words: str, size: int = 140) -> None:
        self.frame = dom.make("figure", "", into, class_="map")
        self.holder = dom.make("div", "", self.frame, class_="map-holder")
        self.holder.style.setProperty("--size", f"{size}px")
        self.size = size
        self.canvas = dom.make("canvas", "", self.holder, role="img", aria_label=words)
        self.over = dom.make("div", "", self.holder, class_="map-over", aria_hidden="true")
        self.caption = dom.make("figcaption", words, self.frame)

    def paint(self, array, signed: bool = False, peak=None, first: int = 0, words: str = "") -> None:
        """Paint a packed array (H, W), or the map `first` of one (C, H, W)."""
        shape = array.shape
        height, width = shape[shape.length - 2], shape[shape.length - 1]
        size, values = height * width, array.values
        if peak is None:
            part = values.slice(first * size, (first + 1) * size)
            peak = max([abs(float(word)) for word in part.join(" ").split()])
        paint(self.canvas, values, width, height, peak, signed, first, self.size)
        if words:
            self.canvas.setAttribute("aria-label", words)
            self.caption.textContent = words

    def boxes(self, boxes, side: int) -> None:
        """Frames over the map: (top, left, bottom, right, class) in cells of a side x side grid."""
        marks = []
        for top, left, bottom, right, kind in boxes:
            scale = 100 / side
            place = f"top:{top * scale:.2f}%;left:{left * scale:.2f}%;height:{(bottom - top) * scale:.2f}%;"
            marks.append(f'<i class="{kind}" style="{place}width:{(right - left) * scale:.2f}%"></i>')
        self.over.innerHTML = "".join(marks)


def path(xs, ys, low, high, width: int, height: int) -> str:
    """The `d` of a line through points, x from the first to the last of `xs`, y from low to high."""
    left, span = xs[0], (xs[-1] - xs[0]) or 1
    words = []
    for x, y in zip(xs, ys):  # noqa: B905
        down = height - (min(high, max(low, y)) - low) / (high - low) * height
        words.append(f"{(x - left) / span * width:.1f} {down:.1f}")
    return "M" + "L".join(words)


NETWORKS = {"cnn-small": "CNN", "ann": "Dense network", "linear": "Linear model"}


def answer(row) -> str:
    """What a network said: its digit and its share."""
    return f"{row.digit}, {dom.percent(row.share)}"
