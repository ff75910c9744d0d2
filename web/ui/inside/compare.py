"""Beside the original: both answers, the changed layer's map before and after, the difference, how far it goes."""

from ui import dom
from ui.inside import parts
from ui.inside.figures import Figures, Grid
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError

SIDE = 140
PLATES = (("before", "Original"), ("after", "Changed"), ("difference", "Difference"))


CHANGED = "A click on a number, or Enter, leads into the changed network and unfolds there how it was made."


class Compare:
    """`follow(..)` after every answer of the table; the latest wish wins, one question is in flight."""

    def __init__(self, into, host) -> None:
        self.host, self.wanted, self.running, self.answer = host, None, False, None
        self.free = False  # the original is a copy, too, and none of the page's models
        self.box = dom.make("section", "", into, class_="beside", aria_labelledby="compare-title")
        self.box.setAttribute("data-testid", "compare")
        self.title = dom.make("h3", "", self.box, id="compare-title")
        self.answers = dom.make("p", "", self.box, class_="words", data_testid="compare-answers")
        line = dom.make("div", "", self.box, class_="plates")
        self.plates = {name: Plate(line, "compare-" + name, None, None, None, SIDE) for name, _ in PLATES}
        self.words = dom.make("p", "", self.box, class_="words", data_testid="compare-words")
        self.far = dom.make("details", "", self.box, class_="costs", data_testid="compare-reach")
        dom.make("summary", "How far the change goes", self.far)
        dom.make(
            "p",
            "The largest value of each layer before, and how far any of its values has moved.",
            self.far,
            class_="words",
        )
        self.reach = dom.make("div", "", self.far, class_="scroll", tabindex="0", role="group", aria_label="Reach")
        self.figures = Figures(self.box, "These maps as numbers", self._numbers, "compare-figures")
        more = dom.make("details", "", self.box, class_="costs", data_testid="compare-shares")
        dom.make("summary", "All probabilities", more)
        self.shares = dom.make("div", "", more, class_="scroll", tabindex="0", role="group", aria_label="Probabilities")

    def follow(self, told, model: str, layer: str, number: int, blank: bool) -> None:
        """`told`: the table as it is; `layer`, `number`: the one whose map is shown, -1 for what changed most; `blank`:
        nothing is drawn, both networks see zeros."""
        self.free = bool(told.free)
        self.title.textContent = f"Beside {original(self.free)}"
        self._shares(told, "This drawing" if not blank else "An empty pad")
        self.box.hidden = not list(told.changes)
        self.wanted = (model, layer, number, told.version, self.host.version(), blank)
        if not self.box.hidden and layer and not self.running:
            self.running = True
            dom.run(self._ask())

    def _shares(self, told, image: str) -> None:
        classes, rows, best = list(told.classes), [], []
        for shares in (told.before.values, told.after.values):
            k = max(range(len(classes)), key=lambda k: shares[k])
            best.append(f"{classes[k]} ({dom.percent(shares[k], 2)})")
        changed = "the changed copy" if self.free else "the changed network"
        self.answers.textContent = f"{image}: {best[0]} in {original(self.free)}; {best[1]} in {changed}."
        for k, name in enumerate(classes):
            before, after = told.before.values[k], told.after.values[k]
            bar = f'<i class="k" style="--s:{after:.3f}"></i>'
            rows.append((name, dom.percent(before, 2), dom.percent(after, 2), bar))
        self.shares.innerHTML = parts.table((image, self._before().lower(), "changed", ""), rows, "Probabilities")

    def _before(self) -> str:
        """The original, over a picture or a column."""
        return "As made" if self.free else "Original"

    async def _ask(self) -> None:
        try:
            done = None
            while done != self.wanted and self.box.isConnected:
                done = self.wanted
                about = {"model": done[0], "layer": done[1], "number": done[2], "blank": done[5]}
                self._show(await self.host.ask("compared", **about))
                self.box.setAttribute("data-version", f"{done[3]} {done[4]}")
        except (EngineError, EngineGoneError) as error:
            self.words.textContent = parts.reason(error)
        finally:
            self.running = False

    def _show(self, answer) -> None:
        self.answer = answer
        place = f"map {answer.number + 1} of {answer.count}" if answer.count > 1 else "its values"
        for k, (name, title) in enumerate(PLATES):
            plate, packed, largest = self.plates[name], getattr(answer, name), answer.peaks[k]
            plate.figure.hidden = not packed
            if not packed:
                continue
            height, width = folded(packed.shape)
            peak = max(largest if name == "difference" else answer.peak, 1e-9)
            signed = answer.signed or name == "difference"
            plate.paint(Flat(packed.values, height, width), peak, 0, signed)
            title = self._before() if name == "before" else title
            size = f"up to {parts.number(largest)}"
            plate.label(f"{title}: {answer.layer}, {place}, {size}", f"{title}<span>, {size}</span>")
        changed = [float(value) for value in answer.largest.values] if answer.largest else []
        count = len([1 for value in changed if value > 0])
        words = f"{answer.layer}, {place}."
        if len(changed) > 1:
            words += f" {count} of its {parts.many(len(changed), 'map')} {'has' if count == 1 else 'have'} changed."
        self.words.textContent = f"{words} {answer.words}".strip()
        rows = []
        for row in answer.reach:
            moved = parts.number(row.moved, 4) if row.size else "another size"
            rows.append((row.layer, parts.number(row.peak), moved))
        self.reach.innerHTML = parts.table(("Layer", "largest value", "moved by"), rows, "How far the change goes")
        self.figures.update()

    def _numbers(self):
        """The maps as tables; the core says why where there is nothing to compare."""
        if self.answer is None:
            return ""
        found = []
        layer, number = self.answer.layer, self.answer.number
        for name, title in PLATES:
            packed = getattr(self.answer, name)
            if not packed:
                continue
            height, width = folded(packed.shape)
            of, on, note = "", "", ""
            if name == "after" or (name == "before" and not self.free):
                of = f"{layer}:{number}" if int(packed.shape[0]) > 1 else layer
            if name == "after":
                on, note = "table", CHANGED
            title = self._before() if name == "before" else title
            found.append(Grid(title, packed.values, height, width, of=of, on=on, note=note))
        return found or self.answer.words


def original(free: bool) -> str:
    """What the changes on the table began with."""
    return "the averaging copy as it was made" if free else "the original"


def folded(shape) -> tuple:
    """Rows and columns to paint a map in; a vector, which comes as one row, is folded as square as it goes."""
    height, width = int(shape[0]), int(shape[1])
    if height > 1:
        return height, width
    rows = next(k for k in range(int(width**0.5), 0, -1) if width % k == 0)
    return rows, width // rows
