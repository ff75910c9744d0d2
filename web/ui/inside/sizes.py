"""A drawing of another size: refused by a network with flatten, read by one that takes the average of each map."""

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError


class Sizes:
    """A foldable panel: the drawing, larger, fed to the network and to a copy of it that takes any size."""

    def __init__(self, into, host, network) -> None:
        self.host, self.network = host, network
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

    async def _feed(self) -> None:
        await self._show_sized(self.network.model, "")

    async def _feed_any(self) -> None:
        """Made once: the convolutions stay, the head is fitted anew, and measured."""
        samples = window.URL.new("samples/", document.baseURI).href
        self.sized.textContent = "Fitting a new last layer to the means of the maps, and measuring it on test images."
        side = self._pixels()
        try:
            found = await self.host.ask("any_size", seconds=180, model=self.network.model, samples=samples, side=side)
        except (EngineError, EngineGoneError) as error:
            self.sized.textContent = parts.reason(error)
            return
        if found.cancelled:
            return
        if found.refused:
            self.sized.textContent = found.refused
            return
        right, count = found.accuracy, parts.count(found.count)
        plain = dom.percent(getattr(right, "as it is"))
        text = (
            f"Without training, on {count} test images: {plain} as they are, {dom.percent(right.enlarged)} enlarged, "
        )
        text += f"{dom.percent(right.framed)} on a larger sheet; with flatten {dom.percent(found.original)}."
        await self._show_sized(found.name, text)

    def _pixels(self) -> int:
        return min(64, max(28, int(self.side.value))) if self.side.value.isdigit() else 40

    async def _show_sized(self, model: str, words: str) -> None:
        side = self._pixels()
        try:
            found = await self.host.ask("sized", model=model, side=side)
        except (EngineError, EngineGoneError) as error:
            self.sized.textContent = parts.reason(error)
            return
        self.sized.replaceChildren()
        plate = Plate(self.sized, "", None, None, None, 160)
        plate.paint(Flat(found.image.values, found.image.shape[0], found.image.shape[1]), 1.0, 0, False)
        plate.label(f"The drawing, {side} by {side}", f"{side} \u00d7 {side}")
        if found.refused:
            dom.make("p", found.refused, self.sized, class_="view-note refused")
            return
        reads = f"It reads {self.network.classes[int(found.best)]}, {dom.percent(found.share)}. "
        dom.make("p", reads + words, self.sized, class_="words")


def _runner(run):
    return lambda event: dom.run(run())
