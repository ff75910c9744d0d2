"""The page's main thread: wires the pad, the views and the engine. What a view shows is its own module's business."""

from pyscript import document, window
from ui import (
    actions,
    answer,
    backend,
    bars,
    dom,
    gallery,
    hand,
    help,
    keyboard,
    link,
    measured,
    models,
    numbers,
    picture,
    places,
    seen,
    strip,
    theme,
    views,
)
from ui.actions import Action
from ui.reader import Reader, Reading
from ui.worker import TITLES, Engine, EngineError, EngineGoneError

pad = window.pad
WIDTHS = (8, 40, 2)  # pad units: narrowest, widest, step

state: dict = {"reading": None, "seen": None, "link": {}, "spoken": window.first.spoken, "behind": False}


# -- what follows an answer ----------------------------------------------------------------------------------
def show(reading) -> None:
    """Every answer, up to fifteen times a second; None while nobody can read what is drawn."""
    views.changed(reading)
    if reading is None:
        unread()
        return
    reading.keep_choice(state["reading"])
    state["reading"], state["seen"] = reading, reading.seen
    if not reading.early:
        backend.show(engine, reading)
    places.show(reading)
    answer.show(reading, reading.backend or engine.backend or "numpy")
    hand.show(reading)
    if reading.blank and engine.state != "ready":
        answer.waiting(engine)
    if views.current() == "draw":  # else nobody sees them
        bars.show(reading)
        seen.show(reading)
    actions.refresh()
    if reading.blank:
        models.clear()
        strip.clear()
    else:
        show_engine(reading)


def standing() -> bool:
    """Whether what stands on the page was read before Python was here."""
    reading = state["reading"]
    return reading is not None and reading.early and not reading.blank


def unread() -> None:
    """What was read before Python is not true of the drawing any more, and Python is not here yet."""
    if not standing():
        return
    blank = Reading(pad.version())
    state["reading"] = state["seen"] = None
    for view in (places, bars, seen):
        view.show(blank)
    answer.unread()
    answer.waiting(engine)


def say(reading) -> None:
    """Aloud, once: what was read before Python is not said again when the engine reads the same."""
    said = f"{reading.version} {reading.sentence}"
    if said != state["spoken"]:
        state["spoken"] = said
        dom.speak(answer.sentence(reading), 500)


async def settle(reading) -> None:
    """What is only worth asking once the hand rests; newer ink comes first at every step."""
    if table.rows:  # else the address has not been followed yet
        remember()
    numbers.show(reading.seen)
    if reading.blank:
        if reading.version > 0:
            dom.speak(answer.BLANK, 400)
        return
    say(reading)
    if reading.early:
        return
    if reading.chosen != reading.latest:
        await engine.call("look_at", reading.chosen)
    state["behind"] = views.current() != "draw"  # what nobody sees is asked for when it is seen again
    for step in () if state["behind"] else (show_steps, show_models, show_maps):
        if reader.waiting:
            return
        await step(reading)
    dom.run(backend.judge(engine, reading.model, reader.changed))


async def show_steps(reading) -> None:
    """The way from ink to 28 x 28."""
    seen.show_steps(await engine.call("steps"))


async def show_models(reading) -> None:
    """The other models' answers."""
    models.show(await engine.call("compare"), reading.model)


async def show_maps(reading) -> None:
    """The chosen model's layers."""
    strip.show(await engine.call("trace", reading.model), reading.version)


def look_at(number: int) -> None:
    """Another digit of the number is looked at: bars, steps, maps and the 784 numbers follow."""
    reading = state["reading"]
    if reading is None or reading.blank or number >= len(reading.places):
        return
    reading.chosen, state["seen"] = number, reading.places[number].seen
    places.show(reading)
    bars.show(reading)
    seen.show(reading)
    numbers.show(reading.seen)
    dom.speak(f"Place {number + 1}: {reading.places[number].sentence}")
    dom.run(follow_look(reading, number))


async def follow_look(reading, number: int) -> None:
    """Steps and maps of the digit looked at, unless newer ink has come in."""
    try:
        await engine.call("look_at", number)
        views.changed(reading)
        for step in (show_steps, show_maps):
            if not reader.running and views.current() == "draw":
                await step(reading)
    except (EngineError, EngineGoneError):
        return


def stage_switched() -> None:
    """A stage of the preparation was switched off or on: the same ink is read again."""
    reader.without = seen.without()
    remember()
    reader.changed()


# -- the engine ----------------------------------------------------------------------------------------------
def show_engine(reading=None) -> None:
    """The line in the header: which backend, how fast."""
    text = {"loading": "Python is on its way", "failed": "The engine has stopped"}.get(engine.state, "")
    if engine.state == "loading" and standing():  # else the note beside the answer says how far it is
        report = window.engineReport
        start, _, rest = answer.progress(report.bytes, report.total).rstrip(".").partition(":")
        text = f"{start}<span>:{rest}</span>" if rest else start
    if engine.state == "ready":
        name = TITLES[engine.backend]
        text = f"<span>{name}, </span>ready"
        if reading:
            taken, of = dom.milliseconds(reading.ms), "from ink to answer"
            text = f'<span>{name}, </span>{taken}<span class="of"> {of}</span>'
            dom.find("engine-text").setAttribute("title", f"{taken} {of}")
    dom.find("engine-text").innerHTML = text  # the narrow header leaves out what is in the span


def engine_changed() -> None:
    """Loading, ready, failed, or a few bytes more."""
    if not state.get("wired"):
        return
    show_engine()
    views.engine_changed()
    if engine.state != "ready" or not reader.model:
        answer.waiting(engine, standing())
    if engine.state == "failed":
        state["reading"] = None if standing() else state["reading"]
        table.loaded.clear()
        reader.model = ""
        dom.speak(f"The engine stopped: {engine.error}. Your drawing is kept.")
    elif engine.state == "ready" and state["link"].get("served") != engine.generation:
        state["link"]["served"] = engine.generation
        dom.run(engine_ready())


async def engine_ready() -> None:
    """Load the chosen model, answer, then load the others."""
    dom.find("version").textContent = f"handlens {engine.version}"
    try:
        if not table.rows:
            await table.list(link.read().get("model", ""))
        await table.load(engine, table.chosen)
    except EngineGoneError:
        return
    except EngineError as error:
        engine.fail(str(error))
        return
    use(table.chosen)
    for row in table.rows:
        try:
            await table.load(engine, row["name"])
        except EngineGoneError:
            return
        except EngineError as error:
            print("model", row["name"], "could not be loaded:", error)
    dom.run(views.fetch_ahead())
    if state["reading"] is not None and not reader.running:
        reader.changed()


def choose_model(name: str) -> None:
    """Another model answers from now on; Back returns to the one before."""
    if table.chosen == name and reader.model == name:
        return
    table.select(name)
    remember(new_entry=True)
    if engine.state == "loading":
        reader.changed()
    dom.run(use_model(name))


async def use_model(name: str) -> None:
    """Load it if need be, and read again."""
    try:
        await table.load(engine, name)
    except (EngineError, EngineGoneError):
        return
    use(name)


def use(name: str) -> None:
    """From now on this model answers; what was measured of it stands beside what it says."""
    reader.model = name
    measured.show(name, table.facts.get(name))
    reader.changed()
    picture.read_kept(engine, lambda: reader.model)


# -- the address ---------------------------------------------------------------------------------------------
def remember(new_entry: bool = False) -> None:
    """Put model and drawing into the address."""
    kind = pad.kind()
    label = pad.label()
    said = {"view": views.current(), "model": "" if table.chosen == table.first else table.chosen}
    said.update(views.state())
    said["off"] = seen.without().replace(",", ".")
    said["sample"] = label.split()[1] if label.startswith("sample ") else ""
    said["ink"] = link.encode(pad.flat()) if kind == "ink" else ""
    link.write(said, new_entry)


async def follow_link(starting: bool = False) -> None:
    """Show what the address says: after a reload, Back, or a link from somebody else. While the page starts, what has
    been drawn, or cleared, since it opened stays: the address does not know of it yet."""
    said = link.read()
    if not views.known(said["view"]):  # a place on the page, such as that of the skip link
        return
    wanted = said.get("model") or table.first
    if table.rows and wanted != table.chosen:
        table.select(wanted)
        await use_model(table.chosen)
    if said.get("off", "").replace(".", ",") != seen.without():
        seen.switch_off(said.get("off", "").replace(".", ","))
        stage_switched()
    drawn = starting and pad.version() > 0
    if not drawn and said.get("ink") and said["ink"] != link.encode(pad.flat()):
        strokes = link.decode(said["ink"])
        if strokes:
            pad.clear()
        for points, width, erase in strokes:
            pad.add(points, width, erase)
    elif not drawn and said.get("sample", "").isdigit() and pad.label() != f"sample {said['sample']}":
        await gallery.load()
        show_sample(int(said["sample"]))
    await views.go(said["view"], said)


def view_opened() -> None:
    """What fell behind while another view was open catches up."""
    if state["behind"] and views.current() == "draw":
        if state["reading"] is not None:
            bars.show(state["reading"])
            seen.show(state["reading"])
        reader.changed()


def show_sample(number: int) -> None:
    """Put a test image on the pad."""
    values, label = gallery.values(number)
    if values is not None:
        picture.say("")
        pad.show(values, label)


# -- the actions ---------------------------------------------------------------------------------------------
def set_width(units) -> None:
    """The brush, from the slider or the keys."""
    narrowest, widest, _ = WIDTHS
    units = min(widest, max(narrowest, int(units)))
    pad.setWidth(units)
    state["slider"].value = units
    dom.find("tools").style.setProperty("--pen", str(units))


def toggle_eraser() -> None:
    """Pen or eraser."""
    pad.setErasing(not pad.erasing())
    actions.refresh()


async def open_gallery() -> None:
    """Fetch the test images before they are first shown."""
    await gallery.load()
    gallery.build(show_sample)
    gallery.toggle()
    actions.refresh()


def make_tools():
    """All actions, in the order of the help; the first ones are the buttons under the pad."""
    tools = dom.find("tools")
    for action in (
        Action("undo", "Undo", pad.undo, ("ctrl+z", "u"), "undo", pad.canUndo),
        Action("redo", "Redo", pad.redo, ("ctrl+shift+z", "ctrl+y", "r"), "redo", pad.canRedo),
        Action("clear", "Clear", pad.clear, ("delete", "c"), "clear", lambda: pad.kind() != "blank"),
        Action("eraser", "Eraser", toggle_eraser, ("e",), "eraser", None, pad.erasing),
    ):
        action.button(tools, worded=False)
    label = dom.make("label", "", tools, class_="width")
    dom.make("span", "Pen width", label, class_="visually-hidden")
    dom.make("i", "", dom.make("span", "", label, class_="nib", aria_hidden="true"))
    low, high, step = WIDTHS
    brush = dom.make("input", "", label, type="range", min=low, max=high, step=step, value=22, data_testid="width")
    dom.listen(brush, "input", lambda event: set_width(brush.value))
    dom.make("span", "", tools, class_="spacer")
    Action("narrower", "Thinner pen", lambda: set_width(int(state["slider"].value) - 4), ("[",))
    Action("wider", "Thicker pen", lambda: set_width(int(state["slider"].value) + 4), ("]",))
    samples = Action("samples", "Samples", lambda: dom.run(open_gallery()), ("g",), "samples", None, gallery.is_open)
    samples.words = "Samples: images of the MNIST test set"
    samples.button(tools)
    image = Action("image", "Image", picture.choose, ("i",), "image")
    image.words = "Image: read a file; dropping and pasting one works too"
    image.button(tools)
    Action("numbers", "The 784 numbers", numbers.unfold, ("n",))
    head = dom.find("head-actions")
    Action("theme", "Light or dark", theme.toggle, ("t",), "theme").button(head, worded=False)
    Action("help", "Keys", help.toggle, ("?",), "help").button(head, worded=False)
    Action("again", "Start again", engine.restart).button(dom.find("again"))
    return brush


def on_ink(event) -> None:
    """The drawing has changed."""
    if dom.find("notice").textContent:
        picture.say("")
    actions.refresh()
    reader.changed()


engine = Engine(engine_changed)
table = models.Models(choose_model)
reader = Reader(engine, show, settle, lambda: table.chosen)


def make_page() -> None:
    """The drawing, its answer and the tools."""
    answer.setup(look_at)
    bars.setup()
    places.setup(look_at)
    seen.setup(stage_switched)
    state["slider"] = make_tools()
    keyboard.setup()


def make_rest() -> None:
    """What stands below, and the way to the other views."""
    numbers.setup(lambda: state["seen"])
    picture.setup(engine, lambda: reader.model)
    hand.setup(engine, table, reader.changed)
    views.setup(views.Host(engine, table, reader, choose_model, remember, view_opened, look_at))
    reader.also = views.question
    theme.setup([seen.repaint, strip.repaint, gallery.repaint, views.repaint])
    strip.clear()


def take_over() -> None:
    """From here on the ink is followed here, and no longer by first.js."""
    state["wired"] = True
    window.first.takeOver()
    early = None if pad.kind() == "blank" else reader.early()
    if early is not None:
        show(early)
        reader.changed()
    dom.listen(pad.canvas, "ink", on_ink)
    dom.listen(document, "first-ready", lambda event: reader.changed())
    dom.listen(dom.view, "popstate", lambda event: dom.run(follow_link()))
    dom.listen(dom.view, "hashchange", lambda event: dom.run(follow_link()))
    engine_changed()
    actions.refresh()
    dom.run(begin())


async def begin() -> None:
    """The list of models does not wait for Python; the drawing of the address goes on the pad at once."""
    try:
        await table.list(link.read().get("model", ""))
    except Exception as error:  # said when the engine is ready and the list is asked for again
        print("models/index.json:", error)
    await follow_link(starting=True)
    if engine.state == "loading":
        reader.changed()  # the address may name another model, or stages that are switched off


STEPS = (make_page, make_rest, take_over)  # start.py takes them, a turn of the event loop each
