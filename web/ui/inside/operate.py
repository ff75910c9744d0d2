"""The operating table: change the network, see the maps follow, and read what it costs on test images."""

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.plate import Plate
from ui.inside.why import Flat
from ui.worker import EngineError, EngineGoneError


class Operate:
    """`again()` asks anew after an edit; `look(layer)` shows the changed network."""

    def __init__(self, host, network, again, look) -> None:
        self.host, self.network, self.again, self.look = host, network, again, look
        self.layer, self.kernel, self.channel = "", 0, 0
        self.answer, self.version, self.built, self.names = None, -1, "", []

    def question(self) -> tuple:
        """What to ask for each drawing."""
        return "table", {}

    def build(self, into) -> None:
        """What does not change with an edit."""
        text = "Change a copy of the network: every map follows at once, and its accuracy is measured again on "
        dom.make("p", text + "test images. The network itself stays as it is.", into, class_="words")
        line = dom.make("div", "", into, class_="transport", role="group", aria_label="Changes")
        self.buttons = {}
        for action, title in (("undo", "Undo"), ("redo", "Redo"), ("reset", "Back to the original")):
            button = dom.make("button", title, line, type="button", class_="button outlined")
            button.setAttribute("data-testid", "table-" + action)
            dom.listen(button, "click", _doer(self, action))
            self.buttons[action] = button
        self.open_button = dom.make("button", "Look inside the changed network", line, type="button", class_="button")
        self.open_button.setAttribute("data-testid", "table-look")
        dom.listen(self.open_button, "click", lambda event: self.look())
        self.refused = dom.make("p", "", into, class_="view-note refused", role="alert", data_testid="table-refused")
        self.refused.hidden = True
        label = dom.make("label", "Layer ", dom.make("div", "", into, class_="transport"))
        self.layers = dom.make("select", "", label, data_testid="table-layer")
        dom.listen(self.layers, "change", lambda event: self._choose(self.layers.value))
        self.editor = dom.make("div", "", into, class_="editor", data_testid="table-editor")
        self.changes = dom.make("ol", "", into, class_="changes", data_testid="table-changes")
        self.measured = dom.make("p", "", into, class_="words", role="status", data_testid="table-measured")
        self.flipped = dom.make("div", "", into, class_="flipped")
        self._sizes(into)
        self.shares = dom.make("div", "", into, class_="scroll", tabindex="0", role="group", aria_label="Probabilities")

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        self.layers.focus()

    def update(self, answer, spoken: bool) -> None:
        """Show the table as it is."""
        self.answer = answer
        names = [layer.name for layer in answer.layers if _changeable(layer)]
        if self.layers.children.length != len(names):
            self.layers.replaceChildren()
            for name in names:
                dom.make("option", name, self.layers, value=name)
            self.layer = self.layer if self.layer in names else (names[0] if names else "")
            self.layers.value = self.layer
        self.refused.textContent = answer.refused
        self.refused.hidden = not answer.refused
        for action in ("undo", "redo"):
            words = getattr(answer, action)
            self.buttons[action].setAttribute("aria-disabled", "false" if words else "true")
            self.buttons[action].setAttribute("title", words or "")
        changes = list(answer.changes)
        self.open_button.setAttribute("aria-disabled", "false" if changes else "true")
        self.changes.innerHTML = "".join([f"<li>{change}</li>" for change in changes])
        self.changes.hidden = not changes
        self._shares(answer)
        dom.run(self._edit_fields())
        if answer.version != self.version:
            first = self.version < 0
            self.version = answer.version
            if not first or changes:
                dom.run(self._measure(answer.version))

    def _shares(self, answer) -> None:
        rows = []
        for k, name in enumerate(self.network.classes):
            before, after = answer.before.values[k], answer.after.values[k]
            bar = f'<i class="k" style="--s:{after:.3f}"></i>'
            rows.append((name, dom.percent(before, 2), dom.percent(after, 2), bar))
        self.shares.innerHTML = parts.table(("This drawing", "original", "changed", ""), rows, "Probabilities")

    # -- another size ----------------------------------------------------------------------------------------
    def _sizes(self, into) -> None:
        """The same drawing, larger: refused by a network with flatten, read by one that takes the mean of each map."""
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

    # -- editing ---------------------------------------------------------------------------------------------
    def _choose(self, layer: str) -> None:
        self.layer, self.kernel, self.channel = layer, 0, 0
        dom.run(self._edit_fields())

    def _row(self):
        return next(layer for layer in self.answer.layers if layer.name == self.layer)

    async def _edit_fields(self) -> None:
        """The fields of the chosen layer, with the changed network's own numbers."""
        if not self.layer:
            return
        row = self._row()
        key = f"{self.layer} {self.kernel} {self.channel} {self.answer.version}"
        if key == self.built:
            return
        self.built = key
        box = self.editor
        if row.kind != "Conv2D":
            box.replaceChildren()
            self._choices(row)
            return
        told = None
        name, model = self.layer, self.answer.name
        try:
            if not self.names:
                self.names = [kernel.name for kernel in (await self.host.ask("hand_made")).kernels]
            told = await self.host.ask("layer", model=model, layer=name, number=self.kernel)
            if told.kind != "conv2d":  # its activation bears the layer's name
                told = await self.host.ask("layer", model=model, layer=name + ".linear", number=self.kernel)
        except (EngineError, EngineGoneError) as error:
            box.replaceChildren()
            dom.make("p", parts.reason(error), box, class_="words")
            return
        box.replaceChildren()
        self._choices(row)
        self._kernel(told)

    def _choices(self, row) -> None:
        """Pooling, stride and activation of a layer."""
        line = dom.make("div", "", self.editor, class_="transport")
        if row.pooling:
            self._select(line, "Pooling", ("max", "average"), row.pooling, "pooling", "kind")
        if row.strides:
            self._select(line, "Stride", ("1", "2", "3"), str(row.strides[0]), "stride", "stride")
        if row.activation:
            kinds = ("relu", "leaky_relu", "sigmoid", "tanh", "linear")
            self._select(line, "Activation", kinds, row.activation, "activation", "kind")

    def _select(self, line, title: str, options, value: str, action: str, argument: str) -> None:
        label = dom.make("label", title + " ", line)
        select = dom.make("select", "", label, data_testid="table-" + action)
        for option in options if value in options else (value,) + tuple(options):  # noqa: RUF005
            dom.make("option", option.replace("_", " "), select, value=option)
        select.value = value

        def chosen(event) -> None:
            given = int(select.value) if argument == "stride" else select.value
            self.edit(action, {"layer": self.layer, argument: given})

        dom.listen(select, "change", chosen)

    def _kernel(self, told) -> None:
        """The chosen matrix as fields."""
        shape = told.kernels.shape
        line = dom.make("div", "", self.editor, class_="transport")
        for title, name, count in (("Kernel", "kernel", shape[0]), ("on map", "channel", shape[1])):
            if count == 1:
                continue
            label = dom.make("label", title + " ", line)
            field = dom.make("input", "", label, type="number", min="1", max=str(count), data_testid="table-" + name)
            field.value = str(getattr(self, name) + 1)
            dom.listen(field, "change", _setter(self, name, field, count))
        zero = dom.make("button", f"Zero kernel {self.kernel + 1}", line, type="button", class_="button outlined")
        zero.setAttribute("data-testid", "table-zero")
        dom.listen(zero, "click", lambda event: self.edit("zero", {"layer": self.layer, "kernel": self.kernel}))
        label = dom.make("label", "Put in ", line)
        made = dom.make("select", "", label, data_testid="table-handmade")
        for name in ["a kernel made by hand"] + self.names:  # noqa: RUF005
            dom.make("option", name, made, value=name)

        def put(event) -> None:
            if made.value != "a kernel made by hand":
                arguments = {"layer": self.layer, "kernel": self.kernel, "name": made.value, "channel": self.channel}
                self.edit("kernel", arguments)

        dom.listen(made, "change", put)
        table = dom.make("table", "", self.editor, class_="matrix edit")
        body = dom.make("tbody", "", table)
        for i in range(shape[2]):
            line = dom.make("tr", "", body)
            for j in range(shape[3]):
                at = ((self.kernel * shape[1] + self.channel) * shape[2] + i) * shape[3] + j
                value = told.kernels.values[at]
                field = dom.make("input", "", dom.make("td", "", line), type="text", inputmode="decimal")
                field.setAttribute("aria-label", f"Weight in row {i + 1}, column {j + 1}")
                field.setAttribute("data-testid", f"weight-{i}-{j}")
                field.value = f"{value:.3f}"
                dom.listen(field, "change", _weigher(self, field, [self.kernel, self.channel, i, j]))

    def edit(self, action: str, arguments: dict) -> None:
        """One change; what the core refuses is said, and nothing has changed."""
        dom.run(self._edit(action, arguments))

    async def _edit(self, action: str, arguments: dict) -> None:
        try:
            answer = await self.host.ask("edited", model=self.network.model, action=action, **arguments)
        except (EngineError, EngineGoneError) as error:
            self.refused.textContent = parts.reason(error)
            self.refused.hidden = False
            return
        self.built = ""
        self.update(answer, False)
        self.host.say(answer.refused or (list(answer.changes)[-1] if list(answer.changes) else "The original"), 150)

    # -- measuring -------------------------------------------------------------------------------------------
    async def _measure(self, version: int) -> None:
        """Accuracy on the fixed test images; the next edit gives this up."""
        dom.run(self._watch(version))
        samples = window.URL.new("samples/", document.baseURI).href
        try:
            found = await self.host.ask("measured", seconds=120, model=self.network.model, samples=samples)
        except (EngineError, EngineGoneError) as error:
            self.measured.textContent = f"The accuracy could not be measured: {error}"
            return
        if found.cancelled or version != self.version or not self.measured.isConnected:
            return
        right, original = dom.percent(found.accuracy), dom.percent(found.original)
        self.measured.setAttribute("data-version", str(version))
        self.measured.textContent = (
            f"{right} of {parts.count(found.count)} test images, {original} before: {parts.many(found.lost, 'digit')} "
            f"lost, {found.gained} gained."
        )
        self.flipped.replaceChildren()
        for flip in found.flipped:
            if not flip.pixels:
                continue
            figure = dom.make("figure", "", self.flipped)
            canvas = dom.make("canvas", "", figure, role="img")
            window.pixels.paint(canvas, flip.pixels.values, 28, 28)
            classes = self.network.classes
            words = f"a {flip.label}: {classes[flip.before]} \u2192 {classes[flip.after]}"
            canvas.setAttribute("aria-label", words)
            dom.make("figcaption", words, figure)

    async def _watch(self, version: int) -> None:
        """Say how far it is."""
        import asyncio

        while version == self.version and self.measured.isConnected:
            if self.measured.getAttribute("data-version") == str(version):
                return
            try:
                told = await self.host.ask("progress", kind="measured")
            except (EngineError, EngineGoneError):
                return
            if told.running and version == self.version:
                self.measured.textContent = f"Measuring on test images: {dom.percent(told.share, 0)}"
            await asyncio.sleep_ms(200)


def _changeable(layer) -> bool:
    return bool(layer.pooling or layer.strides or layer.activation)


def _runner(run):
    return lambda event: dom.run(run())


def _doer(page, action: str):
    def done(event) -> None:
        if page.buttons[action].getAttribute("aria-disabled") != "true":
            page.edit(action, {})

    return done


def _setter(page, name: str, field, count: int):
    def changed(event) -> None:
        number = int(field.value) if field.value.isdigit() else 1
        setattr(page, name, min(count, max(1, number)) - 1)
        dom.run(page._edit_fields())

    return changed


def _weigher(page, field, index: list):
    def changed(event) -> None:
        text = field.value.strip().replace(",", ".").replace(parts.MINUS, "-")
        try:
            value = float(text)
        except ValueError:
            page.refused.textContent = f"{field.value} is not a number; the weight stays."
            page.refused.hidden = False
            return
        page.edit("weight", {"layer": page.layer, "index": index, "value": value})

    return changed
