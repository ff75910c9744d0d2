"""The terms of a dense neuron, the largest first: those that came with the answer, or all of them when asked for."""

import json

from pyscript import window
from ui import dom, views
from ui.inside import parts
from ui.inside.figures import line, pour
from ui.worker import EngineError, EngineGoneError

ALL = 100_000  # more than any neuron has
A_PART = 42  # terms read at a time: what is written in a turn
HEADS = ("From", "value", "", "weight", "", "product", "")


class Terms:
    """Writes into `box`, with a button below it. The latest wish wins, one question is in flight."""

    def __init__(self, into, box, network, row) -> None:
        self.box, self.network, self.row = box, network, row
        self.all, self.answer, self.index, self.wanted, self.running = False, None, None, 0, False
        self.button = dom.make(
            "button", "", into, type="button", class_="button outlined", data_testid="all-terms", aria_pressed="false"
        )
        self.button.hidden = True
        self.said = dom.make("p", "", into, class_="words", role="status")
        dom.listen(self.button, "click", lambda event: self._toggle())

    def show(self, answer) -> None:
        """The neuron of the answer: the same one after a stroke, or another."""
        index, before = [int(k) for k in answer.index], self.index
        self.answer, self.index = answer, index
        self.wanted += 1
        self.said.textContent = ""
        self._name()
        if not self._unfolded() or index != before:  # all terms of the same one stand until the new ones are here
            self._few()
        if self._unfolded() and not self.running:
            self.running = True
            dom.run(self._ask())

    def _unfolded(self) -> bool:
        return self.all and self.answer.rest_count > 0

    def _name(self) -> None:
        few = self.answer.order.length
        words = f"Show the {few} largest" if self.all else f"Show all {parts.many(self.answer.count, 'term')}"
        self.button.textContent, self.button.hidden = words, not self.answer.rest_count

    def _toggle(self) -> None:
        self.all = not self.all
        self.show(self.answer)

    def _caption(self) -> str:
        return f"Terms of {self.row.name}, the largest first"

    def _few(self) -> None:
        answer = self.answer
        largest, rows = self._largest(), []
        for k, at in enumerate(answer.order):
            values = answer.values.values[k], answer.weights.values[k], answer.products.values[k]
            rows.append(self._row(int(at), values, largest))
        if answer.rest_count:
            words = f"and {parts.many(answer.rest_count, 'smaller term')}"
            rows.append((words, "", "", "", "=", parts.signed(answer.rest_sum, 3), ""))
        self.box.innerHTML = parts.table(HEADS, rows, self._caption())
        self.box.setAttribute("data-long", "no")
        self.box.setAttribute("data-heads", " ".join(HEADS))
        self.box.removeAttribute("data-full")

    def _largest(self) -> float:
        """The size of the first: they come in order."""
        return max([abs(float(value)) for value in self.answer.products.values] + [1e-9])

    def _row(self, at: int, values, largest: float) -> tuple:
        """A line: where the term comes from, what it is made of, and a bar."""
        answer, place, source, words = self.answer, [at], self.answer.source, ""
        if answer.weight_image:  # what the list was made of: maps, one after the other
            shape = answer.weight_image.values.shape
            across, cells = int(shape[2]), int(shape[1]) * int(shape[2])
            place, source, words = [at // cells, at % cells // across, at % across], answer.behind, f"{answer.behind}, "
        value, weight, product = values
        return (
            f'<button type="button" class="num" data-cell="{parts.address(source, place)}">'
            f"{words}{parts.place(place)}</button>",
            parts.number(value, 3),
            parts.TIMES,
            parts.signed(weight, 3),
            "=",
            parts.signed(product, 3),
            f'<i class="{"n" if product < 0 else "p"}" style="--s:{abs(product) / largest:.3f}"></i>',
        )

    def _newest(self, wanted: int):
        return lambda: wanted == self.wanted

    async def _ask(self) -> None:
        """All terms are those of the neuron's certificate."""
        host, done = views.host(), None
        try:
            while done != self.wanted and self._unfolded() and self.box.isConnected:
                done = self.wanted
                blank = host.reading is None or host.reading.blank
                about = {"model": self.network.model, "layer": self.row.name, "index": self.index, "blank": blank}
                found = await host.ask("certificate", most=ALL, **about)
                if done == self.wanted:  # else another neuron, or another drawing
                    self.box.setAttribute("data-long", "yes")
                    await pour(self.box, HEADS, self._rows(found.terms), self._caption(), self._newest(done))
        except (EngineError, EngineGoneError) as error:
            self.said.textContent = parts.reason(error)
        finally:
            self.running = False

    def _rows(self, terms):
        """A line for each, some at a time across to here."""
        largest = self._largest()
        for first in range(0, terms.length, A_PART):
            for one in json.loads(window.JSON.stringify(terms.slice(first, first + A_PART))):
                yield line(self._row(int(one["index"][0]), (one["value"], one["weight"], one["gives"]), largest))
