"""Why this answer: which pixels it hangs on, by three methods, each said in one line."""

from ui import dom
from ui.inside import parts
from ui.inside.figures import Figures, Grid
from ui.inside.plate import Plate
from ui.inside.worth import Worth
from ui.worker import EngineError, EngineGoneError

SIDE = 196
MAPS = (
    ("saliency", "Saliency", "Where a little more or less ink would move the score most."),
    ("signed", "Its sign", "More ink raises the score where it is orange, lowers it where it is blue."),
    ("cam", "Grad-CAM", "Where the last maps speak for this class: for its score."),
    ("occlusion", "Occlusion", "What probability the class loses where a small square is wiped out; blue: it gains."),
)
METHODS = {"cam": "grad_cam"}  # what the core calls them, where it is another name


class Why:
    """`again()` asks anew, after another class was chosen; `go(layer, index)` leads to a kernel."""

    def __init__(self, host, network, again, go) -> None:
        self.host, self.network, self.again, self.go = host, network, again, go
        self.target, self.plates, self.version, self.answer = -1, {}, 0, None
        self.found = {}  # by name: the numbers of a picture
        self.seen = None  # the 28 x 28 that they are of

    def question(self) -> tuple:
        """What to ask for each drawing."""
        return "why", {"target": self.target}

    def build(self, into) -> None:
        """The choice of a class, and a plate for each method."""
        line = dom.make("div", "", into, class_="transport")
        label = dom.make("label", "Why, or why not: ", line)
        self.choice = dom.make("select", "", label, data_testid="why-target")
        dom.make("option", "the answer", self.choice, value="-1")
        for k, name in enumerate(self.network.classes):
            dom.make("option", name, self.choice, value=str(k))
        dom.listen(self.choice, "change", lambda event: self._chosen())
        self.words = dom.make("p", "", into, class_="words", data_testid="why-words")
        box = dom.make("div", "", into, class_="plates why")
        self.plates["input"] = Plate(box, "why-input", None, None, None, SIDE)
        self.lines, self.sources = {}, {}
        for name, title, words in MAPS:
            plate = Plate(box, "why-" + name, None, None, None, SIDE)
            plate.label(title, title)
            self.plates[name] = plate
            dom.make("p", words, plate.figure, class_="words")
            self.lines[name] = dom.make("p", "", plate.figure, class_="rule")
            self.sources[name] = dom.make("p", "", plate.figure, class_="source")
        self.figures = Figures(into, "These pictures as numbers", self._numbers, "why-figures")
        self.said = dom.make("p", "", into, class_="words", role="status")
        self.worth = Worth(into, self.host, self.network, self.go)

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        self.choice.focus()

    def _chosen(self) -> None:
        self.target = int(self.choice.value)
        self.host.remember()
        self.again()

    def picked(self) -> str:
        """What the address remembers: the class asked about, "" for the answer."""
        return str(self.target) if self.target >= 0 else ""

    def pick(self, text: str) -> None:
        """The class that an address names."""
        known = text.isdigit() and int(text) < self.network.classes.length
        self.target = int(text) if known else -1
        self.choice.value = str(self.target)

    def update(self, answer, spoken: bool) -> None:
        """Paint what is known at once; occlusion follows, since it reads the drawing some hundred times."""
        self.answer = answer
        self.version += 1
        k, names = int(answer.target), self.network.aliases
        gradients = "Saliency, its sign and Grad-CAM" if answer.cam else "Saliency and its sign"
        self.words.innerHTML = (
            f"For {self.network.classes[k]}: score {_asks(names.logits, k, parts.signed(answer.logit))}, "
            f"probability {_asks(names.probabilities, k, dom.percent(answer.probability))}. "
            f"{gradients} explain the score, before the softmax; occlusion the probability, after it. "
            "The thin line on each is the edge of the ink that the network sees."
        )
        self.seen = seen = self.host.reading.seen
        self.found = {}
        if seen is not None:
            self.found["input"] = Grid("What the network sees", seen, 28, 28, of="input:0")
            self.plates["input"].paint(Flat(seen, 28, 28), 1.0, 0, False)
            self.plates["input"].label("What the network sees", "What the network sees")
        self._map("saliency", answer.saliency, answer.peaks.saliency, False)
        self._map("signed", answer.signed, answer.peaks.signed, True)
        self.plates["cam"].figure.hidden = not answer.cam
        if answer.cam:
            self._map("cam", answer.cam, answer.peaks.cam, False)
        else:
            self.said.textContent = f"No Grad-CAM: {answer.refusal}."
        for name, _, _ in MAPS:
            found = getattr(answer.methods, METHODS.get(name, name))
            self.lines[name].textContent, self.sources[name].textContent = found.rule, found.source
        self.figures.update()
        self.worth.follow(self.target)
        dom.run(self._occlude(self.version))

    def _map(self, name: str, packed, peak: float, is_signed: bool) -> None:
        plate, shape = self.plates[name], packed.shape
        plate.paint(Flat(packed.values, shape[0], shape[1]), max(peak, 1e-12), 0, is_signed)
        if self.seen is not None:
            plate.outline(self.seen)
        title = next(title for key, title, _ in MAPS if key == name)
        plate.label(title, title)
        self.found[name] = Grid(title, packed.values, shape[0], shape[1])

    def _numbers(self):
        """The pictures as tables, in the order on the page."""
        names = ["input"] + [name for name, _, _ in MAPS]
        return [self.found[name] for name in names if name in self.found] or "Nothing is drawn."

    async def _occlude(self, version: int) -> None:
        plate = self.plates["occlusion"]
        try:
            found = await self.host.ask("occluded", seconds=120, model=self.network.model, target=self.target)
        except (EngineError, EngineGoneError) as error:
            self.said.textContent = f"Occlusion could not be measured: {error}"
            return
        if found.cancelled or version != self.version or not plate.box.isConnected:
            return
        self._map("occlusion", found.map, found.peak, True)
        self.figures.update()
        plate.box.setAttribute("data-version", str(self.host.version()))


def _asks(layer: str, k: int, text: str) -> str:
    """A number of a layer, which can be asked how it was made."""
    return f'<button type="button" class="num" data-cell="{parts.address(layer, [k])}">{text}</button>'


class Flat:
    """One map, as plates want it."""

    def __init__(self, values, height: int, width: int) -> None:
        self.values = Packed(values, height, width)
        self.low = 0.0


class Packed:
    def __init__(self, values, height: int, width: int) -> None:
        self.values, self.shape = values, (1, height, width)
