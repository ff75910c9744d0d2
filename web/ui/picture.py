"""An image file, chosen, dropped or pasted, becomes a drawing; what cannot be one gets a sentence."""

from pyscript import document, window
from ui import dom
from ui.worker import EngineError, EngineGoneError

MOST = 30e6  # bytes of a file: beyond any photograph

_notice = dom.find("notice")
_later = []  # the file that came last while nobody could read it
_chooser = dom.make("input", "", None, type="file", accept="image/*", hidden="", data_testid="file")


def say(sentence: str) -> None:
    """A sentence that stays until the next drawing; an empty one takes it away."""
    _notice.textContent = sentence
    _notice.hidden = not sentence


def choose() -> None:
    """Ask the browser for a file."""
    _chooser.click()


def _keep(file) -> None:
    _later.clear()
    _later.append(file)
    say(f"{file.name or 'The image'} will be read as soon as Python is here.")


async def _read(file, engine, model) -> None:
    name = file.name or "The image"
    _later.clear()
    if engine.state != "ready" or not model():
        _keep(file)
    elif file.size > MOST:
        say(f"{name} has {file.size / 1e6:.0f} MB. Please choose an image of at most {MOST / 1e6:.0f} MB.")
    else:
        data = window.Uint8Array.new(await file.arrayBuffer())
        try:
            result = await engine.call("prepare_file", data, file.type, model(), seconds=60)
        except EngineGoneError:
            _keep(file)
            return
        except EngineError as error:
            say(f"{name} could not be read: {error}")
            return
        if result.error == "not an image":
            say(f"{name} is not an image that this browser can open. PNG and JPEG always work.")
        elif result.error:
            say(f"{name} shows nothing to read: it is all of one shade.")
        else:
            say("")
            window.pad.show(result.values, "file " + name)


def _first_image(transfer):
    """The first file of a drop or a paste, images before others; None where there is only text."""
    files = transfer.files if transfer else None
    if not files or files.length == 0:
        return None
    for i in range(files.length):
        if files[i].type.startswith("image/"):
            return files[i]
    return files[0]


def read_kept(engine, model) -> None:
    """Now there is somebody to read: take up the file that has waited for it."""
    if _later:
        dom.run(_read(_later[0], engine, model))


def setup(engine, model) -> None:
    """Listen for files from all three ways in; `model()` names the network that finds the digits in them."""
    document.body.append(_chooser)

    def chosen(event) -> None:
        if _chooser.files.length:
            dom.run(_read(_chooser.files[0], engine, model))
            _chooser.value = ""  # so that the same file can be chosen again

    def dragged(event) -> None:
        event.preventDefault()
        dom.root.setAttribute("data-drop", "over")

    def left(event) -> None:
        if not event.relatedTarget:
            dom.root.removeAttribute("data-drop")

    def dropped(event) -> None:
        event.preventDefault()
        dom.root.removeAttribute("data-drop")
        file = _first_image(event.dataTransfer)
        if file is None:
            say("That was not a file. Please drop an image file here.")
        else:
            dom.run(_read(file, engine, model))

    def pasted(event) -> None:
        file = _first_image(event.clipboardData)
        if file is not None:
            event.preventDefault()
            dom.run(_read(file, engine, model))

    dom.listen(_chooser, "change", chosen)
    dom.listen(document, "dragover", dragged)
    dom.listen(document, "dragleave", left)
    dom.listen(document, "drop", dropped)
    dom.listen(document, "paste", pasted)
