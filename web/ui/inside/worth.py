"""What each kernel of a layer is worth: for this answer, by silencing it, and for the test images, when asked."""

import asyncio

from pyscript import document, window
from ui import dom
from ui.inside import parts
from ui.worker import EngineError, EngineGoneError

FEW = 8  # rows shown at first
IMAGES = 200  # of the test images: enough to see what a kernel costs, and few enough to wait for
HEADS = ("Without it", "score", "change", "", "probability", "answer", "test images right")


class Worth:
    """`go(layer, index)` leads to a kernel. `follow(..)` after every answer of the page around it."""

    def __init__(self, into, host, network, go) -> None:
        self.host, self.network, self.go = host, network, go
        self.layer, self.all, self.found, self.right = "", False, None, {}
        self.wanted, self.running = None, False
        self.box = dom.make("section", "", into, class_="worth", aria_labelledby="worth-title")
        self.box.setAttribute("data-testid", "worth")
        dom.make("h3", "What each kernel is worth", self.box, id="worth-title")
        text = "Each kernel is silenced in turn, its weights and bias 0, and the same drawing read again. "
        text += "Where the score falls, the kernel speaks for the class; where it rises, against it. "
        dom.make("p", text + "What two do together, each alone may do as well.", self.box, class_="words")
        line = dom.make("div", "", self.box, class_="transport")
        label = dom.make("label", "Layer ", line)
        self.choice = dom.make("select", "", label, data_testid="worth-layer")
        dom.listen(self.choice, "change", lambda event: self._chosen())
        words = f"Count on {IMAGES} test images too"
        self.button = dom.make("button", words, line, type="button", class_="button outlined")
        self.button.setAttribute("data-testid", "worth-count")
        dom.listen(self.button, "click", lambda event: self._count_or_stop())
        self.going = dom.make("span", "", line, class_="where")  # not said aloud four times a second
        self.said = dom.make("span", "", line, class_="where", role="status", data_testid="worth-said")
        self.rows = dom.make("div", "", self.box, class_="scroll", tabindex="0", role="group", aria_label="Kernels")
        self.rows.setAttribute("data-testid", "worth-rows")
        dom.listen(self.rows, "click", self._click)
        self.more = dom.make("button", "", self.box, type="button", class_="button outlined", data_testid="worth-all")
        dom.listen(self.more, "click", lambda event: self._toggle())
        self.more.hidden = True
        self.counting = False

    def _chosen(self) -> None:
        self.layer, self.all = self.choice.value, False
        self.follow(self.wanted[1] if self.wanted else -1)

    def _toggle(self) -> None:
        self.all = not self.all
        self._show()

    def _click(self, event) -> None:
        button = event.target.closest("[data-kernel]")
        if button and self.found is not None:
            self.go(self._row(self.found.layer), [int(button.getAttribute("data-kernel"))])

    def _row(self, layer: str) -> str:
        """The row that shows a layer's kernels: an activation of its own makes the row that has the layer's name."""
        rows = [row.name for row in self.network.rows if row.layer == layer and row.kind in ("conv2d", "dense")]
        return rows[0] if rows else layer

    # -- for this answer -------------------------------------------------------------------------------------
    def follow(self, target: int) -> None:
        """Another drawing, class or layer: the latest wish wins, one question is in flight."""
        self.wanted = (self.layer, target, self.host.version())
        if not self.running:
            self.running = True
            dom.run(self._follow())

    async def _follow(self) -> None:
        done = None
        try:
            while done != self.wanted and self.box.isConnected:
                done = self.wanted
                about = {"model": self.network.model, "layer": done[0], "target": done[1]}
                found = await self.host.ask("worth", seconds=60, **about)
                if not found.cancelled:
                    self.found = found
                    self._show()
                    self.box.setAttribute("data-version", str(done[2]))
        except (EngineError, EngineGoneError) as error:
            self.said.textContent = parts.reason(error)
        finally:
            self.running = False

    def _show(self) -> None:
        found = self.found
        self.box.setAttribute("data-layer", found.layer)
        if found.refusal:
            self.said.textContent = f"{found.refusal}."
            for part in (self.rows, self.more, self.button, self.choice.parentElement):
                part.hidden = True
            return
        self._layers(found)
        kernels = found.kernels
        total = kernels.length
        if self.all or total <= 2 * FEW:
            shown = list(range(total))
        else:  # those that speak for the class most, and those that speak against it most
            shown = list(range(FEW)) + list(range(total - FEW // 2, total))
        classes, rows = self.network.classes, []
        for at, k in enumerate(shown):
            one = kernels[k]
            left_out = k - shown[at - 1] - 1 if at else 0
            if left_out:
                rows.append((f"\u2026 {left_out} between", "", "", "", "", "", ""))
            number = int(one.kernel)
            name = f'<button type="button" class="num" data-kernel="{number}">{found.unit} {number + 1}</button>'
            kind = "n" if one.drop > 0 else "p"  # the colour is that of the change beside it
            share = abs(one.drop) / found.peak if found.peak else 0.0
            bar = f'<i class="{kind}" style="--s:{share:.3f}"></i>'
            drop = parts.signed(-one.drop)
            right = self.right.get(number)
            counted, then = dom.percent(right) if right is not None else "", classes[int(one.answer)]
            rows.append((name, parts.number(one.score), drop, bar, dom.percent(one.probability), then, counted))
        rows.insert(0, (f"all {total}", parts.number(found.score), "", "", "", "", self._whole()))
        heads = HEADS if self.right else HEADS[:-1]
        rows = rows if self.right else [row[:-1] for row in rows]
        self.rows.innerHTML = parts.table(heads, rows, "What each kernel is worth")
        self.more.hidden = total <= 2 * FEW
        self.more.textContent = "Show fewer" if self.all else f"Show all {parts.many(total, found.unit)}"

    def _whole(self) -> str:
        return dom.percent(self.right[-1]) if -1 in self.right else ""

    def _layers(self, found) -> None:
        names = list(found.layers)
        if self.choice.children.length != len(names):
            self.choice.replaceChildren()
            for name in names:
                dom.make("option", name, self.choice, value=name)
        if found.layer != self.layer:
            self.layer = found.layer
        if self.choice.value != self.layer:
            self.choice.value = self.layer
        if self.box.getAttribute("data-counted") not in (None, found.layer):
            self.right = {}
            self.box.removeAttribute("data-counted")

    # -- on test images --------------------------------------------------------------------------------------
    def _count_or_stop(self) -> None:
        if self.counting:
            dom.run(self._stop())
        elif self.found is not None and not self.found.refusal:
            dom.run(self._count())

    async def _stop(self) -> None:
        try:
            await self.host.ask("stop", kind="ablated")
        except (EngineError, EngineGoneError):
            return

    async def _count(self) -> None:
        self.counting = True
        words, layer = self.button.textContent, self.found.layer
        self.button.textContent = "Stop counting"
        dom.run(self._watch())
        samples = window.URL.new("samples/", document.baseURI).href
        about = {"model": self.network.model, "layer": layer, "samples": samples, "count": IMAGES}
        said = ""
        try:
            found = await self.host.ask("ablated", seconds=600, **about)
            if found.cancelled:
                said = "Stopped."
            elif self.box.isConnected and self.found.layer == layer:
                self.right = {int(one.kernel): one.accuracy for one in found.kernels}
                self.right[-1] = found.original
                self.box.setAttribute("data-counted", layer)
                said = f"Right of {parts.count(found.count)} test images, with each {self.found.unit} silenced in turn."
                self._show()
        except (EngineError, EngineGoneError) as error:
            said = parts.reason(error)
        finally:
            self.counting = False
            self.button.textContent, self.going.textContent = words, ""
        self.said.textContent = said

    async def _watch(self) -> None:
        """How far the counting is."""
        while self.counting and self.box.isConnected:
            try:
                told = await self.host.ask("progress", kind="ablated")
            except (EngineError, EngineGoneError):
                return
            if told.running and self.counting:
                self.going.textContent = f"Counting: {dom.percent(told.share, 0)}"
            await asyncio.sleep_ms(250)
