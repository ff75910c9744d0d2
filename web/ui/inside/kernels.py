"""Beside a kernel: the test images that excite it most, and the kernels made by hand that it resembles."""

import asyncio

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError


class Beside:
    """Two foldable panels, asked for when they are opened and whenever another kernel is chosen while they are."""

    def __init__(self, into, host, network, row) -> None:
        self.host, self.network, self.row = host, network, row
        self.number, self.shown = 0, {"excited": "", "made": ""}
        self.boxes, self.bodies = {}, {}
        for name, title in (
            ("excited", "The test images that excite this kernel most"),
            ("made", "Kernels made by hand, beside this one"),
        ):
            box = dom.make("details", "", into, class_="costs", data_testid=name)
            dom.make("summary", title, box)
            self.bodies[name] = dom.make("div", "", box)
            self.boxes[name] = box
            dom.listen(box, "toggle", lambda event: self.update(self.number))

    def update(self, number: int) -> None:
        """Another kernel, or a panel was opened."""
        self.number = number
        for name, ask in (("excited", self._excited), ("made", self._made)):
            if self.boxes[name].open and self.shown[name] != str(number):
                self.shown[name] = str(number)
                dom.run(self._tell(name, ask, number))

    async def _tell(self, name: str, ask, number: int) -> None:
        try:
            await ask(self.bodies[name], number)
        except (EngineError, EngineGoneError) as error:
            self.shown[name] = ""
            self.bodies[name].textContent = parts.reason(error)

    async def _excited(self, body, number: int) -> None:
        samples = window.URL.new("samples/", document.baseURI).href
        body.textContent = "Looking at the test images"
        dom.run(self._watch(body, number))
        arguments = {"model": self.network.model, "layer": self.row.layer, "kernel": number, "samples": samples}
        found = await self.host.ask("excited", seconds=120, **arguments)
        if found.cancelled or number != self.number or not body.isConnected:
            return
        body.replaceChildren()
        text = f"Of {parts.count(found.images)} test images, where {found.response} answers most; the patch is framed."
        dom.make("p", text, body, class_="words")
        line = dom.make("div", "", body, class_="plates patches")
        for patch in found.patches:
            plate = Plate(line, "", None, None, None, 84)
            plate.paint(Flat(patch.pixels.values, 28, 28), 1.0, 0, False)
            top, left, bottom, right = [int(edge) for edge in patch.box]
            plate.frame("lens", top, left, bottom - top, right - left)
            words = f"a {patch.label}, {parts.number(patch.value)}"
            plate.label(words, words)
        for sentence in found.sentences:
            dom.make("p", sentence, body, class_="words")

    async def _watch(self, body, number: int) -> None:
        """How far it is."""
        while body.isConnected and number == self.number and not body.children.length:
            told = await self.host.ask("progress", kind="excited")
            if not told.running:
                return
            if not body.children.length:
                body.textContent = f"Looking at the test images: {dom.percent(told.share, 0)}"
            await asyncio.sleep_ms(200)

    async def _made(self, body, number: int) -> None:
        found = await self.host.ask("hand_made", model=self.network.model, layer=self.row.layer, kernel=number)
        if number != self.number or not body.isConnected:
            return
        body.replaceChildren()
        text = "The cosine says how alike the two matrices are: 1 the same, \u22121 its negative, 0 nothing in common."
        if self.row.parameters and len(list(found.nearest)) > number and found.nearest[number][0]:
            name, cosine = found.nearest[number]
            text = f"Nearest to {name} ({parts.signed(cosine)}). {text}"
        dom.make("p", text + " For the first map that the kernel reads.", body, class_="words")
        line = dom.make("div", "", body, class_="plates patches")
        cosines = list(found.cosines)
        for k, kernel in enumerate(found.kernels):
            plate = Plate(line, "", None, None, None, 112)
            shape = kernel.map.shape
            values = kernel.map.values
            peak = max([abs(float(value)) for value in values] + [1e-9])
            plate.paint(Flat(values, shape[0], shape[1]), peak, 0, True)
            alike = f", {parts.signed(cosines[k])}" if k < len(cosines) else ""
            plate.label(f"{kernel.name}{alike}: answers to {kernel.answers}", f"{kernel.name}<span>{alike}</span>")
            side = kernel.matrix.shape
            text = dom.make("div", "", plate.figure)
            peak = max([abs(float(value)) for value in kernel.matrix.values] + [1e-9])
            text.innerHTML = parts.matrix(kernel.matrix.values, side[0], side[1], 0, peak, True, kernel.name)
