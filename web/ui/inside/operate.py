"""The operating table: change the network, see the maps follow, and read what it costs on test images."""

import asyncio

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.inside.compare import Compare, original
from ui.inside.laid import blank, edits, found, ready
from ui.inside.sizes import Sizes
from ui.worker import EngineError, EngineGoneError

REST = 200  # ms without another edit before the accuracy is measured
STEPS = 200  # of the slider of a weight
FINITE = 1e300
MOVES = {"undo": "Taken back", "redo": "Done again"}
PLAIN = {"valid": "valid, no zeros", "same": "same, with zeros"}  # options, in plain words


class Operate:
    """`again()` asks anew after an edit; `look()` shows the changed network; `laid` is what lies on the table, and
    `known()` is called when that is known."""

    def __init__(self, host, network, again, look, laid, known) -> None:
        self.host, self.network, self.again, self.look, self.laid = host, network, again, look, laid
        self.layer, self.kernel, self.channel, self.place = "", 0, 0, [0, 0]
        self.known = known
        self.answer, self.version, self.built, self.names = None, "", "", []
        self.model, self.wish, self.sliding = network.model, None, False
        self.slider, self.fields, self.picking, self.building = None, [], laid["pick"], False
        self.no_copy = ""  # why there is none that takes any size, until the next edit
        self.refused_edit, self.told = ("", {}), (laid["did"], laid["free"])
        self.refusal, self.offered = "", False  # of the last edit: they stay until the next, whatever is asked anew

    def question(self) -> tuple:
        """What to ask for each drawing."""
        if self.laid["fresh"]:
            self.laid["fresh"] = False
            again = {"model": self.model, "action": "again", "edits": self.laid["did"]}
            again["blank"] = blank(self.host)
            return "edited", again
        return "table", {"model": self.model, "blank": blank(self.host)}

    async def prepare(self) -> None:
        """Before the question: the copy that takes any size may have to be made."""
        name, refused = await ready(self.host, self.laid, self.network.model, self._busy)
        self.no_copy = refused or self.no_copy
        if name != self.model:
            self.model, self.version, self.built = name, "", ""

    def picked(self) -> str:
        """What the address remembers: layer, kernel, channel, and the weight under the slider."""
        if self.picking or not self.layer:  # the table has not answered yet
            return self.picking
        numbers = [self.kernel, self.channel] + self.place  # noqa: RUF005
        self.laid["pick"] = "-".join([self.layer] + [str(k) for k in numbers])
        return self.laid["pick"]

    def pick(self, text: str) -> None:
        """The layer, kernel and weight that an address names; held against the network when that is known."""
        self.picking = text

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
        self._free_line(into)
        self.refused = dom.make("p", "", into, class_="view-note refused", role="alert", data_testid="table-refused")
        self.refused.hidden = True
        self.busy = dom.make("p", "", into, class_="view-note", role="status", data_testid="table-busy")
        self.busy.hidden = True
        self.offer = dom.make("button", "", into, type="button", class_="button outlined", data_testid="table-offer")
        self.offer.hidden = True
        dom.listen(self.offer, "click", lambda event: dom.run(self._take_offer()))
        self.chooser = dom.make("div", "", into, class_="transport")
        label = dom.make("label", "Layer ", self.chooser)
        self.layers = dom.make("select", "", label, data_testid="table-layer")
        dom.listen(self.layers, "change", lambda event: self._choose(self.layers.value))
        bench = dom.make("div", "", into, class_="bench")  # what is changed and what that does, side by side
        self.editor = dom.make("div", "", bench, class_="editor", data_testid="table-editor")
        self.compare = Compare(bench, self.host)
        self.changes = dom.make("ol", "", into, class_="changes", data_testid="table-changes")
        self.changes.hidden = True
        words = "These are more changes than an address holds: they are lost when the page is loaded anew."
        self.long = dom.make("p", words, into, class_="view-note", data_testid="table-long")
        self.long.hidden = True
        self.measured = dom.make("p", "", into, class_="words", role="status", data_testid="table-measured")
        self.share = dom.make("p", "", into, class_="view-note", data_testid="table-progress")  # seen, not said
        self.share.hidden = True
        self.flipped = dom.make("div", "", into, class_="flipped")
        self.sizes = Sizes(into, self.host, self.network)

    def _free_line(self, into) -> None:
        """Which network lies on the table, where it is not the visitor's own."""
        self.free = dom.make("p", "", into, class_="view-note", data_testid="table-free")
        words = "On the table: the same convolutions, but the average of each map in place of flatten, and a last "
        dom.make("span", words + "layer fitted anew. It takes any size. ", self.free)
        back = dom.make("button", "Back to the network itself", self.free, type="button", class_="button outlined")
        back.setAttribute("data-testid", "table-own")
        dom.listen(back, "click", lambda event: self._own())
        self.free.hidden = True

    def _say(self, sentence: str) -> None:
        self.refused.textContent = sentence
        self.refused.hidden = not sentence

    def _busy(self, sentence: str) -> None:
        self.busy.textContent = sentence
        self.busy.hidden = not sentence

    def refuse(self, sentence: str, offered: bool = False) -> None:
        """Why the last edit changed nothing, and whether another network takes it; "" after one that was done."""
        self.refusal, self.offered = sentence, offered
        self._say(sentence)
        self.offer.hidden = not offered

    def _own(self) -> None:
        """The network itself on the table again."""
        self.laid["free"] = ""
        window.early.focus(self.layers)  # the button goes away
        self.again()

    async def _take_offer(self) -> None:
        """The change that was refused, on the copy that takes any size, after what was changed before."""
        action, arguments = self.refused_edit
        did = self.laid["did"]
        self.laid["free"] = "yes"
        window.early.focus(self.layers)  # the button goes away
        self.refuse("")
        try:
            await self.prepare()
        except (EngineError, EngineGoneError) as error:
            self.laid["free"] = ""
            self.refuse(parts.reason(error))
            return
        if self.model != self.network.model and self.editor.isConnected:
            if did not in ("", "-"):
                await self._edit("again", {"edits": did})
            await self._edit(action, arguments)

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        self.layers.focus()

    def update(self, answer, spoken: bool) -> None:
        """Show the table as it is."""
        self.answer = answer
        names = [layer.name for layer in answer.layers if _changeable(layer)]
        if [option.value for option in list(self.layers.children)] != names:
            self.layers.replaceChildren()
            for name in names:
                dom.make("option", name, self.layers, value=name)
        if self.picking:
            self._picked(names)
        self.layer = self.layer if self.layer in names else (names[0] if names else "")
        self.layers.value = self.layer
        nothing = "" if names else f"{self.network.model} has no kernel, pooling or activation that could be changed."
        version = f"{self.model} {answer.version}"
        if answer.refused or version != self.version:
            self.refuse(answer.refused, bool(answer.offer))
        self._say(self.refusal or self.no_copy or nothing)
        self.chooser.hidden = not names
        self.free.hidden = not answer.free
        self.buttons["reset"].textContent = "Back to " + ("the copy as it was made" if answer.free else "the original")
        for action in ("undo", "redo"):
            words = getattr(answer, action)
            self.buttons[action].setAttribute("aria-disabled", "false" if words else "true")
            self.buttons[action].setAttribute("title", words or "")
        changes = list(answer.changes)
        self.buttons["reset"].setAttribute("aria-disabled", "false" if changes else "true")
        self.open_button.setAttribute("aria-disabled", "false" if changes else "true")
        self.changes.innerHTML = "".join([f"<li>{change}</li>" for change in changes])
        self.changes.hidden = not changes
        self.long.hidden = bool(answer.edits) or not changes
        dom.run(self._edit_fields())
        self._compare()
        self.sizes.follow(blank(self.host))
        self._remember(answer)
        if version != self.version:
            first = not self.version
            self.version = version
            if not first or changes:  # what stands there is about the network before
                self.measured.textContent = "Measuring on test images"
                self.flipped.setAttribute("data-stale", "yes")
                dom.later("measure", REST, lambda: dom.run(self._measure(version)))

    def _compare(self) -> None:
        """The map of the kernel in the editor, or of what changed most."""
        number = self.kernel if self.layer and self._row().kind == "Conv2D" else -1
        self.compare.follow(self.answer, self.model, self.layer, number, blank(self.host))

    def _remember(self, answer) -> None:
        """The address follows what was done."""
        did = edits(answer)
        found(self.laid, self.network.model, did)
        self.known()
        if (did, self.laid["free"]) != self.told:
            self.told = (did, self.laid["free"])
            self.host.remember()

    def _picked(self, names) -> None:
        """The place that the address names, if this network has it."""
        layer, _, rest = self.picking.partition("-")
        self.picking = ""
        numbers = [int(part) for part in rest.split("-") if part.isdigit()]
        if layer in names and len(numbers) == 4:
            self.layer, self.kernel, self.channel, self.place = layer, numbers[0], numbers[1], numbers[2:]
            self.built = ""

    # -- editing ---------------------------------------------------------------------------------------------
    def _choose(self, layer: str) -> None:
        self.layer, self.kernel, self.channel, self.place = layer, 0, 0, [0, 0]
        self.refuse("")
        dom.run(self._edit_fields())
        self._compare()
        self.host.remember()

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
            self._rebuild(row, None)
            return
        told = None
        name, model = self.layer, self.answer.name
        try:
            if not self.names:
                self.names = [kernel.name for kernel in (await self.host.ask("hand_made")).kernels]
            told = await self.host.ask("layer", model=model, layer=name, number=self.kernel)
            if told.kind != "conv2d":  # its activation bears the layer's name
                told = await self.host.ask("layer", model=model, layer=name + ".linear", number=self.kernel)
            if self.built != key:  # another layer has been chosen meanwhile
                return
        except (EngineError, EngineGoneError) as error:
            box.replaceChildren()
            dom.make("p", parts.reason(error), box, class_="words")
            return
        self._rebuild(row, told)

    def _rebuild(self, row, told) -> None:
        """The editor anew; a field that is taken away while one types in it is not left by it."""
        held, self.building = self._held(), True
        self.editor.replaceChildren()
        self.building = False
        self._choices(row)
        if told:
            self._kernel(told)
        self._hold(held)

    def _held(self):
        """Where the keyboard stands in the editor that is about to be built anew, and a weight half typed there."""
        at = document.activeElement
        if at is None or not self.editor.contains(at):
            return None
        name = at.getAttribute("data-testid") or ""
        if not name.startswith("weight-"):
            return name, "", False
        whole = at.selectionStart == 0 and at.selectionEnd == len(at.value)
        return name, at.value if at.value != at.defaultValue else "", whole

    def _hold(self, held) -> None:
        """The keyboard again where it was."""
        field = self.editor.querySelector(f'[data-testid="{held[0]}"]') if held else None
        if field:
            window.early.focus(field)
            if held[1]:
                field.value = held[1]
            if held[2]:
                field.select()

    def _choices(self, row) -> None:
        """Pooling, stride, padding and activation of a layer."""
        line = dom.make("div", "", self.editor, class_="transport")
        if row.pooling:
            self._select(line, "Pooling", ("max", "average"), row.pooling, "pooling", "kind")
        if row.strides:
            self._select(line, "Stride", ("1", "2", "3"), str(row.strides[0]), "stride", "stride")
        if row.padding:
            self._select(line, "Padding", ("valid", "same"), row.padding, "padding", "padding")
        if row.activation:
            kinds = ("relu", "leaky_relu", "sigmoid", "tanh", "none")
            self._select(line, "Activation", kinds, row.activation, "activation", "kind")

    def _select(self, line, title: str, options, value: str, action: str, argument: str) -> None:
        label = dom.make("label", title + " ", line)
        select = dom.make("select", "", label, data_testid="table-" + action)
        for option in options if value in options else (value,) + tuple(options):  # noqa: RUF005
            dom.make("option", PLAIN.get(option, option.replace("_", " ")), select, value=option)
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
        self._matrix(told, shape)
        self._slider(told, shape)

    def _matrix(self, told, shape) -> None:
        table = dom.make("table", "", self.editor, class_="matrix edit")
        body = dom.make("tbody", "", table)
        self.fields = []
        for i in range(shape[2]):
            line = dom.make("tr", "", body)
            for j in range(shape[3]):
                at = ((self.kernel * shape[1] + self.channel) * shape[2] + i) * shape[3] + j
                value = told.kernels.values[at]
                field = dom.make("input", "", dom.make("td", "", line), type="text", inputmode="decimal")
                field.setAttribute("aria-label", f"Weight in row {i + 1}, column {j + 1}")
                field.setAttribute("data-testid", f"weight-{i}-{j}")
                _fill(field, value)
                weigh = _weigher(self, field, [self.kernel, self.channel, i, j])
                for event in ("change", "blur"):
                    dom.listen(field, event, weigh)
                dom.listen(field, "focus", _placer(self, i, j))
                dom.listen(field, "keydown", _keyed(field, weigh))
                self.fields.append(field)

    def _slider(self, told, shape) -> None:
        """One weight drawn along a scale: everything follows, and it is one step to undo."""
        reach = max(1.0, 2 * told.kernel_peak)
        line = dom.make("div", "", self.editor, class_="transport")
        label = dom.make("label", "", line, class_="scrub")
        self.slider_words = dom.make("span", "", label)
        step = 2 * reach / STEPS
        self.slider = dom.make("input", "", label, type="range", min=-reach, max=reach, step=step)
        self.slider.setAttribute("data-testid", "table-slider")
        self.columns = shape[3]
        dom.listen(self.slider, "input", lambda event: self._drawn())
        dom.listen(self.slider, "change", lambda event: self.host.say(self.changes.textContent, 150))
        self.place = [min(self.place[0], shape[2] - 1), min(self.place[1], shape[3] - 1)]
        self.put_slider(self.place[0], self.place[1])

    def put_slider(self, row: int, column: int) -> None:
        """Lay the slider on a weight of the matrix."""
        moved, self.place = self.place != [row, column], [row, column]
        words = f"Weight in row {row + 1}, column {column + 1}"
        self.slider_words.textContent = words
        self.slider.setAttribute("aria-label", words)
        self.slider.value = self.fields[row * self.columns + column].value
        if moved:
            self.host.remember()

    def _drawn(self) -> None:
        """The latest place of the slider counts; one edit is in flight."""
        self.wish = float(self.slider.value)
        if not self.sliding:
            self.sliding = True
            dom.run(self._draw())

    async def _draw(self) -> None:
        try:
            while self.wish is not None and self.editor.isConnected:
                value, self.wish = self.wish, None
                at = self.place[0] * self.columns + self.place[1]
                about = {"layer": self.layer, "index": [self.kernel, self.channel] + self.place, "value": value}  # noqa: RUF005
                about["blank"] = blank(self.host)
                answer = await self.host.ask("edited", model=self.model, action="weight", joined=True, **about)
                self.built = f"{self.layer} {self.kernel} {self.channel} {answer.version}"  # the slider stays in hand
                _fill(self.fields[at], value)
                self.refuse("")
                self.update(answer, False)
        except (EngineError, EngineGoneError) as error:
            self.refuse(parts.reason(error))
        finally:
            self.sliding = False

    def edit(self, action: str, arguments: dict) -> None:
        """One change; what the core refuses is said, and nothing has changed."""
        dom.run(self._edit(action, arguments))

    async def _edit(self, action: str, arguments: dict) -> None:
        moved = getattr(self.answer, action, "") if action in MOVES else ""
        try:
            about = {"model": self.model, "action": action, "blank": blank(self.host)}
            answer = await self.host.ask("edited", **about, **arguments)
        except (EngineError, EngineGoneError) as error:
            self.refuse(parts.reason(error))
            return
        self.refuse("")
        self.built = self.no_copy = ""
        if answer.offer:
            self.refused_edit = (action, arguments)
            self.offer.textContent = "Try it with global average pooling in place of flatten"
        self.update(answer, False)
        last = list(answer.changes)[-1] if list(answer.changes) else original(answer.free)
        self.host.say(answer.refused or (f"{MOVES[action]}: {moved}. Now: {last}" if moved else last), 150)

    # -- measuring -------------------------------------------------------------------------------------------
    async def _measure(self, version: str) -> None:
        """Accuracy on the fixed test images; the next edit gives this up."""
        if version != self.version:
            return
        dom.run(self._watch(version))
        samples = window.URL.new("samples/", document.baseURI).href
        try:
            found = await self.host.ask("measured", seconds=120, model=self.model, samples=samples)
        except (EngineError, EngineGoneError) as error:
            self.share.hidden = True
            self.measured.textContent = f"The accuracy could not be measured: {error}"
            return
        if found.cancelled or version != self.version or not self.measured.isConnected:
            return
        self.share.hidden = True
        right, before = dom.percent(found.accuracy), dom.percent(found.original)
        before += f" in {original(True)}" if self.answer.free else " before"
        self.measured.setAttribute("data-version", version)
        self.measured.textContent = (
            f"{right} of {parts.count(found.count)} test images, {before}: {parts.many(found.lost, 'digit')} "
            f"lost, {found.gained} gained."
        )
        if found.flipped.length > found.drawn:
            self.measured.textContent += f" The first {found.drawn} of them:"
        self.flipped.replaceChildren()
        self.flipped.removeAttribute("data-stale")
        classes = list(self.answer.classes)
        for k, flip in enumerate(found.flipped):
            if k == found.drawn:
                break
            if k % 6 == 5:  # strokes and clicks get through between any few
                await dom.turn()
                if version != self.version:
                    return
            figure = dom.make("figure", "", self.flipped)
            canvas = dom.make("canvas", "", figure, role="img")
            window.pixels.paint(canvas, flip.pixels.values, 28, 28)
            words = f"a {flip.label}: {classes[flip.before]} \u2192 {classes[flip.after]}"
            canvas.setAttribute("aria-label", words)
            dom.make("figcaption", words, figure)

    async def _watch(self, version: str) -> None:
        """Say how far it is."""
        while version == self.version and self.measured.isConnected:
            if self.measured.getAttribute("data-version") == version:
                return
            try:
                told = await self.host.ask("progress", kind="measured")
            except (EngineError, EngineGoneError):
                return
            if told.running and version == self.version:
                self.share.textContent = f"{dom.percent(told.share, 0)} of them so far"
                self.share.hidden = False
            await asyncio.sleep_ms(200)


def _changeable(layer) -> bool:
    return bool(layer.pooling or layer.strides or layer.activation)


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
        page._compare()
        page.host.remember()

    return changed


def _placer(page, row: int, column: int):
    return lambda event: page.put_slider(row, column)


def _fill(field, value: float) -> None:
    """Write a weight into its field, which falls back to it where something else is typed that is no number."""
    field.value = field.defaultValue = f"{value:.3f}"


def _keyed(field, weigh):
    """Enter takes what has been typed, Escape takes it back before it leads back out of the view."""

    def pressed(event) -> None:
        if event.key == "Enter":
            weigh(event)
        elif event.key == "Escape" and field.value != field.defaultValue:
            event.preventDefault()
            field.value = field.defaultValue

    return pressed


def _weigher(page, field, index: list):
    """Takes what stands in a field: at its change, and where none is told, as what was half typed when the field was
    built anew is no change to a browser."""

    def changed(event) -> None:
        if page.building or field.value == field.defaultValue:
            return
        text = field.value.strip().replace(",", ".").replace(parts.MINUS, "-")
        try:
            value = float(text)
            if not -FINITE < value < FINITE:  # "nan" and "inf" are words of Python's
                raise ValueError
        except ValueError:
            typed = f"\u201c{field.value}\u201d" if text else "An empty field"
            page.refuse(f"{typed} is not a number; the weight stays.")
            field.value = field.defaultValue
            return
        field.defaultValue = field.value  # taken: no longer half typed
        page.edit("weight", {"layer": page.layer, "index": index, "value": value})

    return changed
