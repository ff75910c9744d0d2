"""The shipped models, side by side on the same ink; the one chosen gives the answer above."""

import json

from pyscript import document, fetch, window
from ui import backend, dom, link
from ui.worker import EngineError

COLUMNS = (
    ("Model", "name"),
    ("Reads", "reads"),
    ("Probability", "share"),
    ("Network time", "time"),
    ("Test accuracy", "accuracy"),
    ("Parameters", "parameters"),
    ("Multiply-adds", "madds"),
    ("Size", "bytes"),
)
FIRST = "digits"  # the model that answers unless the visitor chooses another

_cells: dict = {}
_refused: set = set()  # models whose file could not be loaded: their rows say so until it can
_radios: dict = {}


class Models:
    """`rows`: what models/index.json says of each; `chosen`: the name of one of them, or "" before it is known."""

    def __init__(self, choose) -> None:
        self.rows, self.chosen, self.loaded, self.choose = [], "", set(), choose
        self.first = FIRST
        self.after_load = None  # a coroutine, called with the name of every model that has just been loaded
        self.facts: dict = {}  # by model: what its file says was measured on drawings

    async def list(self, wanted: str) -> None:
        """Read the list and make the table. Raises with the reason when there is none."""
        response = await fetch("models/index.json")
        if not response.ok:
            raise EngineError(f"models/index.json: the server answered {response.status}")
        listed = await response.json()
        self.rows = listed if isinstance(listed, list) else listed["models"]
        names = [row["name"] for row in self.rows]
        if not names:
            raise EngineError("models/index.json lists no model")
        self.first = FIRST if FIRST in names else names[0]
        self.chosen = wanted if wanted in names else self.first
        self._table()

    async def load(self, engine, name: str) -> None:
        """Have the engine load a model, once; a file it refuses is said in the model's row."""
        if name in self.loaded:
            return
        row = next(row for row in self.rows if row["name"] == name)
        address = window.URL.new("models/" + row["file"], document.baseURI).href
        try:
            loaded = await engine.call("load_model", name, address, link.forced_backend(), seconds=120)
        except EngineError as error:
            _cells[name]["reads"].textContent = "\u2013"
            _cells[name]["share"].textContent = "not loaded"
            _cells[name]["share"].setAttribute("title", str(error))
            _refused.add(name)
            raise
        _refused.discard(name)
        self.loaded.add(name)
        self.facts[name] = json.loads(loaded.facts)
        backend.loaded(engine, loaded)
        if self.after_load is not None:
            await self.after_load(name)

    def select(self, name: str) -> None:
        """Mark a model as the one that answers."""
        if name in _radios:
            self.chosen = name
            _radios[name].checked = True

    def _table(self) -> None:
        box = dom.find("models")
        box.replaceChildren()
        _cells.clear()
        _refused.clear()
        _radios.clear()
        table = dom.make("table", "", box)
        dom.make("caption", "Choose the model that answers.", table, class_="visually-hidden")
        head = dom.make("tr", "", dom.make("thead", "", table))
        for title, name in COLUMNS:
            dom.make("th", title, head, scope="col", class_="c-" + name)
        body = dom.make("tbody", "", table)
        for row in self.rows:
            self._row(body, row)
        self.select(self.chosen)

    def _row(self, body, row) -> None:
        name = row["name"]
        line = dom.make("tr", "", body, data_testid=f"model-{name}")
        label = dom.make("label", "", dom.make("th", "", line, scope="row", class_="c-name"))
        _radios[name] = dom.make("input", "", label, type="radio", name="model", value=name)
        words = dom.make("span", name, label)
        if row.get("title"):
            dom.make("small", row["title"], words)
        dom.listen(_radios[name], "change", lambda event: self.choose(name))
        cells = _cells[name] = {}
        for _, column in COLUMNS[1:]:
            cells[column] = dom.make("td", "", line, class_="c-" + column)
        if row.get("accuracy") is not None:
            cells["accuracy"].textContent = dom.percent(row["accuracy"], 2)
        for column, key in (("parameters", "parameters"), ("madds", "multiply_adds")):
            if row.get(key) is not None:
                cells[column].textContent = dom.thousands(row[key])
        if row.get("bytes") is not None:
            cells["bytes"].textContent = f"{row['bytes'] / 1e3:.0f} kB"


def show(answers, chosen: str) -> None:
    """The answers of all models; those that differ from the chosen one's are marked."""
    agreed = [answer.text for answer in answers if answer.name == chosen]
    for answer in answers:
        cells = _cells.get(answer.name)
        if cells is None:
            continue
        cells["reads"].textContent = answer.text
        cells["reads"].setAttribute("data-agrees", "yes" if answer.text in agreed else "no")
        cells["share"].textContent = dom.percent(answer.share)
        cells["time"].textContent = dom.milliseconds(answer.ms)


def clear() -> None:
    """Nothing is drawn."""
    for name, cells in _cells.items():
        if name in _refused:
            continue
        for column in ("reads", "share", "time"):
            cells[column].textContent = ""
