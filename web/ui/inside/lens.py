"""The hand lens: a kernel or a pooling window over the real input, and the number that it writes."""

import asyncio

from pyscript import window
from ui import dom
from ui.inside import parts
from ui.inside.arrow import Arrow
from ui.inside.figures import Figures, Grid
from ui.inside.plate import Plate

SPEEDS = ((0.5, "slow"), (1.0, "one a second"), (3.0, "fast"), (8.0, "very fast"))
_still = window.matchMedia("(prefers-reduced-motion: reduce)")


class Lens:
    """`go(layer, index)` leads elsewhere; `slide(index)` moves the lens in this layer; `ask` opens a certificate."""

    def __init__(self, go, slide, ask, row) -> None:
        self.go, self.slide, self.ask, self.row = go, slide, ask, row
        self.index, self.channel, self.answer = [0, 0, 0], -1, None
        self.playing, self.running, self.pools = False, False, row.kind in ("max_pool", "avg_pool")

    def question(self) -> tuple:
        """What to ask for each drawing and each step."""
        return "cell", {"layer": self.row.name, "index": self.index, "channel": self.channel}

    # -- the frame of the page -------------------------------------------------------------------------------
    def build(self, into) -> None:
        """Plates, transport, the equation, the channels."""
        self.words = dom.make("p", "", into, class_="words")
        self._transport(into)
        plates = dom.make("div", "", into, class_="plates pools" if self.pools else "plates")
        side = 264 if self.pools else 336
        self.source = Plate(plates, "lens-source", self._move, self._point, self._unfold, side)
        self.targets = [Plate(plates, "lens-target", None, self._to, None, side)]
        if self.pools:
            self.targets.append(Plate(plates, "lens-target-2", None, self._to, None, side))
        self.arrow = Arrow(plates)
        self.equation = dom.make("div", "", into, class_="equation", data_testid="equation")
        self.winner = dom.make("p", "", into, class_="words", data_testid="winner") if self.pools else None
        self.chain = dom.make("p", "", into, class_="chain", data_testid="chain")
        self.channels = dom.make("div", "", into, class_="channel-bars", data_testid="channels")
        dom.listen(self.channels, "click", self._channel)
        self.rest = dom.make("p", "", into, class_="words", data_testid="left-over")
        self.figures = Figures(into, "These maps as numbers", self._numbers, "lens-figures")

    def _transport(self, into) -> None:
        line = dom.make("div", "", into, class_="transport", role="group", aria_label="Moving the lens")
        for name, title, run in (
            ("back", "\u2190 Step back", lambda: self._step(-1)),
            ("play", "Play", self._toggle),
            ("next", "Step \u2192", lambda: self._step(1)),
        ):
            button = dom.make(
                "button", title, line, type="button", class_="button outlined", data_testid="lens-" + name
            )
            dom.listen(button, "click", _caller(run))
            if name == "play":
                self.play = button
        label = dom.make("label", "Speed ", line)
        self.speed = dom.make("select", "", label, data_testid="lens-speed")
        for speed, words in SPEEDS:
            dom.make("option", words, self.speed, value=str(speed))
        self.speed.value = "1.0"
        label = dom.make("label", "", line, class_="scrub")
        dom.make("span", "Where the lens stands", label, class_="visually-hidden")
        self.scrub = dom.make("input", "", label, type="range", min="0", max="1", step="1", data_testid="lens-scrub")
        dom.listen(self.scrub, "input", lambda event: self._go_to(int(self.scrub.value)))
        self.where = dom.make("span", "", line, class_="where")

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        self.source.focus()

    def leave(self) -> None:
        """The page goes away; it may come back as it is, and then the lens stands still."""
        self._plays(False)

    # -- moving ----------------------------------------------------------------------------------------------
    def _out(self) -> tuple:
        return int(self.row.shape[1]), int(self.row.shape[2])

    def _move(self, rows: int, columns: int) -> None:
        height, width = self._out()
        row, column = self.index[1] + rows, self.index[2] + columns
        if 0 <= row < height and 0 <= column < width:
            self._place(row, column)

    def _place(self, row: int, column: int) -> None:
        if self.channel < 0 and self.answer is not None and not self.pools:
            self.channel = int(self.answer.channel)  # what one slides over stays, whichever map adds most elsewhere
        self.index = [self.index[0], row, column]
        self.slide(self.index, self.playing)

    def _point(self, row: int, column: int) -> None:
        """The window whose middle is nearest to where one pointed."""
        found = self.answer
        if found is None:
            return
        at = []
        for axis, place in ((0, row), (1, column)):
            size, stride = int(found.kernel_size[axis]), int(found.strides[axis])
            begin = place + int(found.pads[axis]) - (size - 1) // 2
            at.append(min(int(found.out[axis]) - 1, max(0, (begin + stride // 2) // stride)))
        self._place(at[0], at[1])

    def _to(self, row: int, column: int) -> None:
        self._place(row, column)

    def _unfold(self) -> None:
        self.ask(self.row.name, self.index)

    def _go_to(self, at: int) -> None:
        self._place(*divmod(at, self._out()[1]))

    def _step(self, by: int) -> None:
        height, width = self._out()
        self._go_to((self.index[1] * width + self.index[2] + by) % (height * width))

    def _toggle(self) -> None:
        if _still.matches:  # motion is not wanted: each press is a step
            self._step(1)
            return
        self._plays(not self.playing)
        if not self.playing:
            self.slide(self.index, False)
        elif not self.running:  # else the loop of the Play before still waits for its next step, and goes on
            self.running = True
            dom.run(self._run())

    def _plays(self, yes: bool) -> None:
        self.playing = yes
        self.play.textContent = "Pause" if yes else "Play"
        self.play.setAttribute("aria-pressed", "true" if yes else "false")

    async def _run(self) -> None:
        try:
            while self.playing:
                self._step(1)
                await asyncio.sleep(1 / float(self.speed.value))
        finally:
            self.running = False

    # -- showing ---------------------------------------------------------------------------------------------
    def update(self, answer, spoken: bool) -> None:
        """Show what the core says of this place."""
        self.answer = answer
        self.index = [int(k) for k in answer.index]
        height, width = self._out()
        self.scrub.setAttribute("max", str(height * width - 1))
        self.scrub.value = str(self.index[1] * width + self.index[2])
        self.where.textContent = f"row {self.index[1] + 1} of {height}, column {self.index[2] + 1} of {width}"
        self.scrub.setAttribute("aria-valuetext", self.where.textContent)
        self._source(answer)
        if self.pools:
            self._pooled(answer)
        else:
            self._convolved(answer)
        block = [int(k) for k in answer.window] + [int(k) for k in answer.kernel_size]
        self.arrow.between(self.source, block, self.targets[0], self.index[1:])
        self._rest(answer)
        self.figures.update()

    def _source(self, answer) -> None:
        picture = answer.source_map
        self.source.pad(answer.pads)
        self.source.paint(picture, parts.full(picture), 0, answer.source_signed)
        self.source.hatch("unread", answer.unread.rows, answer.unread.columns)
        top, left = int(answer.window[0]), int(answer.window[1])
        rows, columns = int(answer.kernel_size[0]), int(answer.kernel_size[1])
        if answer.next.length:
            self.source.frame("next", int(answer.next[0]), int(answer.next[1]), rows, columns)
        else:
            self.source.hide("next")
        self.source.frame("lens", top, left, rows, columns)
        name = f"map {int(answer.channel) + 1} of {int(answer.source_shape[0])}"
        self.source.label(answer.spoken, f"{answer.source} <span>{name}, read through the lens</span>")

    def _target(self, plate, picture, title: str, value: float, is_signed=None) -> None:
        plate.paint(picture, parts.full(picture), 0, is_signed)
        plate.frame("lens", self.index[1], self.index[2], 1, 1)
        words = title.replace("<span>", "").replace("</span>", "")
        plate.label(f"{words}, {parts.number(value)} at row {self.index[1] + 1}, column {self.index[2] + 1}", title)

    def _convolved(self, answer) -> None:
        name, number = self.row.name, self.index[0] + 1
        self.words.innerHTML = (
            f"<b>{name}</b>, kernel {number} of {int(self.row.shape[0])}. Under the lens lies a patch; each of its "
            "numbers is multiplied by the kernel's number in the same place (the Hadamard product), and the products "
            "are summed."
        )
        self._target(self.targets[0], answer.target_map, f"{name} <span>map {number}, written</span>", answer.value)
        rows, columns = int(answer.kernel_size[0]), int(answer.kernel_size[1])
        outside = [int(v) for v in answer.outside.values]
        top, left, channel = int(answer.window[0]), int(answer.window[1]), int(answer.channel)

        def cell(at: int) -> str:
            return parts.address(answer.source, (channel, top + at // columns, left + at % columns))

        full, below = parts.full(answer.source_map), answer.source_signed
        patch = parts.matrix(answer.patch.values, rows, columns, 0, full, below, "Patch", None, cell, outside)
        kernel = parts.matrix(answer.kernel.values, rows, columns, 0, answer.kernel_peak, True, "Kernel")
        product = parts.matrix(answer.product.values, rows, columns, 0, answer.product_peak, True, "Product")
        self.equation.innerHTML = (
            named("patch", patch)
            + '<span class="sign" aria-label="times, cell by cell">\u2299</span>'
            + named("kernel", kernel)
            + '<span class="sign">=</span>'
            + named("Hadamard product", product)
            + f'<span class="sign" aria-label="summed">\u03a3 =</span>{result("sum", answer.channel_sum)}'
        )
        self.chain.innerHTML = self._chained(answer)
        self._bars(answer)

    def _chained(self, answer) -> str:
        """From the sum to the cell that it is written to."""
        count, texts = int(answer.source_shape[0]), []
        if count > 1:
            texts.append(result(f"map {int(answer.channel) + 1}", answer.channel_sum))
            texts.append("<span>+</span>" + result(f"the other {count - 1} maps", answer.others_sum))
            texts.append(f"<span>=</span>{result('sum', answer.sum)}")
        else:
            texts.append(result("sum", answer.sum))
        if answer.has_bias:
            texts.append(f"<span>+</span>{result('bias', answer.bias)}<span>=</span>")
        else:
            texts.append("<span>\u2192</span>")
        texts.append(result(self.row.name, answer.value, parts.address(self.row.name, self.index)))
        for entry in answer.onward:
            index = [int(k) for k in entry.index]
            words = entry.title
            if entry.kind in ("max_pool", "avg_pool"):
                words = f"{entry.title}, row {index[1] + 1}, column {index[2] + 1}"
            texts.append(f"<span>\u2192</span>{result(words, entry.value, parts.address(entry.name, index))}")
        return "".join(texts) + f"<span>written to row {self.index[1] + 1}, column {self.index[2] + 1}</span>"

    def _bars(self, answer) -> None:
        """What each map of the source adds; a click puts it under the lens."""
        count = int(answer.source_shape[0])
        if count == 1:
            self.channels.hidden = True
            return
        self.channels.hidden = False
        largest = max([abs(float(value)) for value in answer.sums.values] + [1e-9])
        lines = []
        for channel in answer.order:
            value, number = float(answer.sums.values[channel]), int(channel)
            now = ' aria-current="true"' if number == int(answer.channel) else ""
            lines.append(
                f'<li><button type="button" data-channel="{number}"{now}>map {number + 1}</button>'
                f'<i class="{"n" if value < 0 else "p"}" style="--s:{abs(value) / largest:.3f}"></i>'
                f'<span class="mono">{parts.signed(value)}</span></li>'
            )
        head = f"<h3>What each of the {count} maps adds to this cell</h3>"
        focused = self.channels.contains(self.channels.ownerDocument.activeElement)
        self.channels.innerHTML = f"{head}<ul>{''.join(lines)}</ul>"
        if focused:
            now = self.channels.querySelector("[aria-current]")
            if now:
                now.focus()

    def _channel(self, event) -> None:
        button = event.target.closest("[data-channel]")
        if button:
            self.channel = int(button.getAttribute("data-channel"))
            self.slide(self.index, False)

    def _pooled(self, answer) -> None:
        """Max and average side by side on the same input, whichever this network uses."""
        name = self.row.name
        used, other = ("maximum", "average") if self.row.kind == "max_pool" else ("average", "maximum")
        rows, columns = int(answer.kernel_size[0]), int(answer.kernel_size[1])
        self.words.innerHTML = (
            f"<b>{name}</b>, map {self.index[0] + 1}. A window of {rows} {parts.TIMES} {columns} moves by "
            f"{int(answer.strides[0])}. This network keeps the {used}; the {other} of the same window stands beside it."
        )
        maximum, average = self.targets if self.row.kind == "max_pool" else (self.targets[1], self.targets[0])
        below = answer.source_signed  # one scale and one pair of colours: equal numbers look equal
        self._target(maximum, answer.maximum_map, "Max pooling" + _used(used == "maximum"), answer.maximum, below)
        self._target(average, answer.average_map, "Average pooling" + _used(used == "average"), answer.average, below)
        self._window(answer, used)

    def _window(self, answer, used: str) -> None:
        """The cells under the lens, which of them wins, and what both poolings make of them."""
        name, rows, columns = self.row.name, int(answer.kernel_size[0]), int(answer.kernel_size[1])
        winner = int(answer.winner)
        top, left = int(answer.window[0]), int(answer.window[1])
        self.source.frame("winner", top + winner // columns, left + winner % columns, 1, 1)
        outside = [int(v) for v in answer.outside.values]

        def cell(at: int) -> str:
            return parts.address(answer.source, (self.index[0], top + at // columns, left + at % columns))

        marks = {int(at): "tied" for at in answer.tied}
        marks[winner] = "winner"
        full, below = parts.full(answer.source_map), answer.source_signed
        patch = parts.matrix(answer.patch.values, rows, columns, 0, full, below, "Window", marks, cell, outside)
        here = parts.address(name, self.index)
        self.equation.innerHTML = (
            named("window", patch)
            + f'<span class="sign">\u2192</span>{result("largest", answer.maximum, here if used == "maximum" else "")}'
            + '<span class="sign">and</span>'
            + result(f"mean of {int(answer.count)}", answer.average, here if used == "average" else "")
        )
        self.winner.textContent = f"Framed: the largest; {answer.tie}." if answer.tie else "Framed: the largest."
        self.chain.hidden = self.channels.hidden = True

    def _rest(self, answer) -> None:
        """Stride, padding, and what no window reads, in words."""
        strides, pads = [int(s) for s in answer.strides], [int(p) for p in answer.pads]
        words = f"Stride {strides[0]}" if strides[0] == strides[1] else f"Stride {strides[0]} down, {strides[1]} right"
        if any(pads):
            words += (
                f", padding of {pads[0]}, {pads[1]}, {pads[2]}, {pads[3]} (top, left, bottom, right): zeros around it"
            )
        else:
            words += ", no padding"
        if answer.next.length:
            same = int(answer.next[0]) == int(answer.window[0])
            on = parts.many(strides[1], "column") + " on"
            if not same:
                on = f"on the next line, {parts.many(strides[0], 'row')} down"
            words += f". Dashed: the next window, {on}"
        lost, unread = [], answer.unread
        for axis, one in enumerate(("row", "column")):
            if unread.lost[axis]:
                lost.append(parts.many(unread.lost[axis], one))
        if lost:
            words += f". Hatched: {' and '.join(lost)} that no window reads, {dom.thousands(unread.cells)} of "
            words += parts.many(unread.of, "cell")
        self.rest.textContent = words + "."

    def _numbers(self):
        """What the lens reads and what it writes, map by map."""
        answer = self.answer
        if answer is None:
            return ""
        here = f"{self.row.name}:{self.index[0]}"
        found = [("What the lens reads", answer.source_map, f"{answer.source}:{int(answer.channel)}")]
        if self.pools:
            found.append(("Max pooling", answer.maximum_map, here if self.row.kind == "max_pool" else ""))
            found.append(("Average pooling", answer.average_map, here if self.row.kind == "avg_pool" else ""))
        else:
            found.append((f"{self.row.name}, map {self.index[0] + 1}", answer.target_map, here))
        grids = []
        for words, one, of in found:
            shape = one.values.shape
            note = "" if of else "For comparison: this network does not use these numbers."
            grids.append(Grid(words, one.values.values, shape[1], shape[2], of=of, note=note))
        return grids


def _caller(run):
    return lambda event: run()


def _used(yes: bool) -> str:
    return " <span>used here</span>" if yes else " <span>for comparison</span>"


def named(name: str, matrix: str) -> str:
    return f'<span class="named"><span class="name">{name}</span>{matrix}</span>'


def result(name: str, value: float, address: str = "", digits: int = 2) -> str:
    """A number with its name below; with an address it can be asked where it comes from."""
    text = parts.number(value, digits)
    inner = f'<button type="button" class="num" data-cell="{address}">{text}</button>' if address else f"<b>{text}</b>"
    return f'<span class="named"><span class="name">{name}</span>{inner}</span>'
