"""A drawing of another size: refused by a network with flatten, read by one that takes the average of each map."""

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.figures import Figures, Grid
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError


class Sizes:
    """A foldable panel: the drawing, larger, fed to the network and to a copy of it that takes any size.

    `follow(blank)` after every answer of the view: what stands here is of the drawing as it is; `blank`: of none.
    """

    def __init__(self, into, host, network) -> None:
        self.host, self.network = host, network
        self.fed, self.words, self.side_fed = "", "", 0  # which network was fed last, with how large a drawing
        self.blank, self.wanted, self.running, self.answer = False, None, False, None
        box = dom.make("details", "", into, class_="costs", data_testid="sizes")
        dom.make("summary", "A drawing of another size", box)
        line = dom.make("div", "", box, class_="transport")
        label = dom.make("label", "Pixels a side ", line)
        self.side = dom.make("input", "", label, type="number", min="28", max="64", data_testid="side")
        self.side.value = "40"
        for title, testid, run in (
            ("Feed it to the network", "feed", self._feed),
            ("To the same convolutions with global average pooling", "feed-any", self._feed_any),
        ):
            button = dom.make("button", title, line, type="button", class_="button outlined", data_testid=testid)
            dom.listen(button, "click", _runner(run))
        self.sized = dom.make("div", "", box, role="status", data_testid="sized")
        self.plate = Plate(box, "", None, None, None, 160)
        self.plate.figure.hidden = True
        self.figures = Figures(box, "This drawing as numbers", self._numbers, "sized-figures")
        self.figures.box.hidden = True

    async def _feed(self) -> None:
        self._show(self.network.model, "")

    async def _feed_any(self) -> None:
        """Made once: the convolutions stay, the head is fitted anew, and measured."""
        samples = window.URL.new("samples/", document.baseURI).href
        self.fed = ""
        self._tell("Fitting a new last layer to the means of the maps, and measuring it on test images.")
        side = self._pixels()
        try:
            found = await self.host.ask("any_size", seconds=180, model=self.network.model, samples=samples, side=side)
        except (EngineError, EngineGoneError) as error:
            self._tell(parts.reason(error), True)
            return
        if found.cancelled:
            return
        if found.refused:
            self._tell(found.refused, True)
            return
        right, count = found.accuracy, parts.count(found.count)
        plain = dom.percent(getattr(right, "as it is"))
        text = (
            f"Without training, on {count} test images: {plain} as they are, {dom.percent(right.enlarged)} enlarged, "
        )
        text += f"{dom.percent(right.framed)} on a larger sheet; with flatten {dom.percent(found.original)}."
        self._show(found.name, text)

    def _pixels(self) -> int:
        return min(64, max(28, int(self.side.value))) if self.side.value.isdigit() else 40

    def _tell(self, sentence: str, refused: bool = False) -> None:
        if self.sized.textContent != sentence:
            self.sized.replaceChildren()
            dom.make("p", sentence, self.sized, class_="view-note refused" if refused else "words")

    def _show(self, model: str, words: str) -> None:
        self.fed, self.words, self.side_fed = model, words, self._pixels()
        self.follow(self.blank)

    def follow(self, blank: bool) -> None:
        """Feed the drawing as it stands; the latest wish wins, one question is in flight."""
        self.blank = blank
        if not self.fed:
            return
        self.wanted = (self.fed, self.side_fed, blank, self.host.version())
        if not self.running:
            self.running = True
            dom.run(self._ask())

    async def _ask(self) -> None:
        try:
            done = None
            while done != self.wanted and self.sized.isConnected:
                done = self.wanted
                model, side, blank, _ = done
                found = await self.host.ask("sized", model=model, side=side, blank=blank)
                if done == self.wanted and self.fed == model:
                    self._shown(found, side, blank)
        except (EngineError, EngineGoneError) as error:
            self._tell(parts.reason(error), True)
        finally:
            self.running = False

    def _shown(self, found, side: int, blank: bool) -> None:
        self.answer = found
        self.plate.figure.hidden = self.figures.box.hidden = False
        self.plate.paint(Flat(found.image.values, found.image.shape[0], found.image.shape[1]), 1.0, 0, False)
        self.plate.label(f"The drawing, {side} by {side}", f"{side} \u00d7 {side}")
        self.figures.update()
        if found.refused:
            self._tell(found.refused, True)
            return
        whose = "An empty sheet: it" if blank else "It"
        self._tell(
            f"{whose} reads {self.network.classes[int(found.best)]}, {dom.percent(found.share)}. {self.words}".strip()
        )

    def _numbers(self):
        if self.answer is None:
            return ""
        image = self.answer.image
        return [Grid("The drawing", image.values, image.shape[0], image.shape[1])]


def _runner(run):
    return lambda event: dom.run(run())
