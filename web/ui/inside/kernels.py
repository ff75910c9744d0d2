"""Beside a kernel: the test images that excite it most, and the kernels made by hand that it resembles."""

import asyncio

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.figures import Figures, Grid
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError

RESTED = 250  # ms without a change of the drawing before the panels follow


class Beside:
    """Two foldable panels, asked for when they are opened, and while they are whenever another kernel is chosen or the
    drawing has changed and rests. `go(layer, index)` leads to a kernel."""

    def __init__(self, into, host, network, row, go) -> None:
        self.host, self.network, self.row, self.go, self.channel = host, network, row, go, 0
        self.number, self.shown, self.measure = 0, {"excited": "", "made": ""}, "response"
        self.boxes, self.bodies, self.figures, self.found = {}, {}, {}, {"excited": [], "made": []}
        for name, title in (
            ("excited", "The test images that excite this kernel most"),
            ("made", "Kernels made by hand, beside this one"),
        ):
            box = dom.make("details", "", into, class_="costs", data_testid=name)
            dom.make("summary", title, box)
            if name == "excited":
                self._measures(box)
            else:
                self._channels(box)
            self.bodies[name] = dom.make("div", "", box)
            self.boxes[name] = box
            self.figures[name] = Figures(box, "These pictures as numbers", self._numbers(name), name + "-figures")
            self.figures[name].box.hidden = True
            dom.listen(box, "toggle", lambda event: self._refresh())

    def _measures(self, into) -> None:
        """Which patches count as the strongest."""
        line = dom.make("fieldset", "", into, class_="transport choices")
        dom.make("legend", "Strongest", line)
        for measure, title in (("response", "by sum"), ("cosine", "by cosine")):
            label = dom.make("label", "", line)
            field = dom.make("input", "", label, type="radio", name="measure", value=measure)
            field.setAttribute("data-testid", "by-" + measure)
            field.checked = measure == self.measure
            dom.make("span", title, label)
            dom.listen(field, "change", self._measure_chooser(measure))

    def _channels(self, into) -> None:
        """Which of the kernel's matrices is compared: there is one for each map that it reads."""
        self.which = dom.make("label", "Its matrix for map ", into, class_="which")
        self.choice = dom.make("select", "", self.which, data_testid="made-channel")
        dom.listen(self.choice, "change", lambda event: self._show_channel(int(self.choice.value)))
        self.which.hidden = True

    def _show_channel(self, channel: int) -> None:
        self.channel = channel
        self._refresh()

    def _measure_chooser(self, measure: str):
        def chosen(event) -> None:
            self.measure = measure
            self._refresh()

        return chosen

    def _numbers(self, name: str):
        return lambda: self.found[name] or ""

    def _tables(self, name: str, found: list) -> None:
        """The numbers of the pictures that are now on the page."""
        self.found[name] = found
        self.figures[name].box.hidden = not found
        self.figures[name].update()

    def update(self, number: int) -> None:
        """Another kernel, another drawing, or a panel was opened."""
        moved, self.number = number != self.number, number
        if moved or not self.shown["excited"] + self.shown["made"]:
            self._refresh()
        elif self.boxes["excited"].open or self.boxes["made"].open:
            dom.later("beside", RESTED, self._refresh)

    def _refresh(self) -> None:
        drawn = f" {self.host.version()}"
        cosine = self.measure == "cosine"  # of the sums only the test images are shown, which stay as they are
        wanted = {
            "excited": f"{self.number} {self.measure}{drawn if cosine else ''}",
            "made": f"{self.number} {self.channel}{drawn}",
        }
        for name, ask in (("excited", self._excited), ("made", self._made)):
            if self.boxes[name].open and self.boxes[name].isConnected and self.shown[name] != wanted[name]:
                self.shown[name] = wanted[name]
                dom.run(self._tell(name, ask, self.number))

    async def _tell(self, name: str, ask, number: int) -> None:
        try:
            await ask(self.bodies[name], number)
        except (EngineError, EngineGoneError) as error:
            self.shown[name] = ""
            self.bodies[name].textContent = parts.reason(error)

    async def _excited(self, body, number: int) -> None:
        samples, wanted = window.URL.new("samples/", document.baseURI).href, self.shown["excited"]
        if not body.children.length:
            body.textContent = "Looking at the test images"
            dom.run(self._watch(body, number))
        about = {"model": self.network.model, "layer": self.row.layer, "kernel": number}
        found = await self.host.ask("excited", seconds=120, samples=samples, measure=self.measure, **about)
        drawn = self.host.reading is not None and not self.host.reading.blank
        own = await self.host.ask("matched", **about) if self.measure == "cosine" and drawn else None
        if found.cancelled or wanted != self.shown["excited"] or not body.isConnected:
            return
        body.replaceChildren()
        text = f"Of {parts.count(found.images)} test images, where {found.response} answers most; the patch is framed. "
        dom.make("p", text + found.words, body, class_="words")
        line, tables = dom.make("div", "", body, class_="plates patches"), []
        if own is not None:
            plate = Plate(line, "matched", None, None, None, 112)
            shape = own.map.shape
            plate.paint(Flat(own.map.values, shape[0], shape[1]), 1.0, 0, True)
            tables.append(Grid("Your drawing, the cosine at each place", own.map.values, shape[0], shape[1]))
            plate.frame("lens", int(own.cell[0]), int(own.cell[1]), 1, 1)
            words = f"Your drawing: at best {parts.signed(own.best)}"
            plate.label(f"{words}, in row {int(own.cell[0]) + 1}, column {int(own.cell[1]) + 1}", words)
            plate.canvas.setAttribute("title", own.rule)
        for k, patch in enumerate(found.patches):
            plate = Plate(line, "", None, None, None, 84)
            plate.paint(Flat(patch.pixels.values, 28, 28), 1.0, 0, False)
            top, left, bottom, right = [int(edge) for edge in patch.box]
            plate.frame("lens", top, left, bottom - top, right - left)
            words = f"a {patch.label}, {parts.number(patch.value)}"
            plate.label(words, words)
            place = f"rows {top + 1} to {bottom}, columns {left + 1} to {right}"
            tables.append(Grid(f"{k + 1}: {words}; patch in {place}", patch.pixels.values, 28, 28))
        self._tables("excited", tables)
        for sentence in found.sentences if self.measure == "response" else []:
            dom.make("p", sentence, body, class_="words")
        body.setAttribute("data-shown", self.measure)

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
        channel, about = self.channel, {"model": self.network.model, "layer": self.row.layer}
        found = await self.host.ask("hand_made", kernel=number, channel=channel, **about)
        if number != self.number or channel != self.channel or not body.isConnected:
            return
        self._offer(int(found.channels), channel)
        body.replaceChildren()
        text = "The cosine says how alike the two matrices are: 1 the same, \u22121 its negative, 0 nothing in common. "
        name, cosine = found.nearest[number] if found.nearest.length else ("", 0.0)
        if name:
            text = f"Nearest to {name} ({parts.signed(cosine)}). {text}"
        dom.make("p", text + "All are slid over your drawing.", body, class_="words")
        line, tables = dom.make("div", "", body, class_="plates patches"), []
        words = f"kernel {number + 1}" + (f", map {channel + 1}" if found.channels > 1 else "")
        self._beside(line, tables, "this one", words, f"The learned {words}", found.learned)
        cosines = list(found.cosines)
        for k, kernel in enumerate(found.kernels):
            alike = parts.signed(cosines[k]) if k < len(cosines) else ""
            said = f"{kernel.name}{', ' + alike if alike else ''}: answers to {kernel.answers}"
            figure = self._beside(line, tables, kernel.name, alike, said, kernel)
            self._alike(figure, kernel.alike, int(found.channels))
        body.setAttribute("data-shown", f"{number} {channel}")
        self._tables("made", tables)

    def _beside(self, into, tables: list, name: str, more: str, said: str, kernel):
        """A kernel: what it makes of the drawing, and its matrix; gives the figure."""
        plate, shape, side = Plate(into, "", None, None, None, 112), kernel.map.shape, kernel.matrix.shape
        plate.paint(Flat(kernel.map.values, shape[0], shape[1]), max(kernel.peak, 1e-9), 0, True)
        plate.label(said, f"{name}<span>{', ' + more if more else ''}</span>")
        tables.append(Grid(f"{name}, over your drawing", kernel.map.values, shape[0], shape[1]))
        peak = max(kernel.matrix_peak, 1e-9)
        text = parts.matrix(kernel.matrix.values, side[0], side[1], 0, peak, True, said)
        dom.make("div", "", plate.figure).innerHTML = text
        return plate.figure

    def _alike(self, into, alike, channels: int) -> None:
        """The learned kernels that resemble one made by hand most, each to be gone to."""
        if not alike.length:
            return
        dom.make("p", "Most alike", into, class_="source")
        items = dom.make("ul", "", into, class_="alike")
        for kernel, channel, cosine in alike:
            item, words = dom.make("li", "", items), f"kernel {kernel + 1}"
            if channels > 1:
                words += f", map {channel + 1}"
            button = dom.make("button", words, item, type="button", class_="num")
            dom.listen(button, "click", self._goer(int(kernel), int(channel)))
            dom.make("span", parts.signed(cosine), item, class_="mono")

    def _goer(self, kernel: int, channel: int):
        def gone(event) -> None:
            self.channel = channel
            if kernel == self.number:
                self._refresh()
            else:
                self.go(self.row.name, [kernel])

        return gone

    def _offer(self, channels: int, chosen: int) -> None:
        """The maps to choose from."""
        if self.choice.children.length != channels:
            self.choice.innerHTML = "".join([f'<option value="{k}">{k + 1}</option>' for k in range(channels)])
        self.choice.value = str(chosen)
        self.which.hidden = channels < 2
