"""What lies on the operating table: said by the address, laid again after a reload, remembered for each model."""

from pyscript import document, window


def fresh() -> dict:
    """What lies on the table, for the address and for the views of the changed network: what was done to it (in the
    core's own short form, "-" where that would be too long), whether it is the copy that takes any size, of which
    model, what is chosen there, whether all this is to be done again (it was just read from an address, or the engine
    has forgotten it), and for every model that has been on the table what was done to it, whether to that copy, and
    which of the engines that were started knows it."""
    return {"did": "", "free": "", "model": "", "pick": "", "fresh": False, "each": {}, "engines": {}}


def found(laid: dict, model: str, did: str) -> None:
    """The engine has told what was done to the model on the table."""
    laid["did"] = did
    laid["each"][model] = (did, laid["free"])


def changed(laid: dict, model: str) -> bool:
    """Whether the table holds a changed copy of the model."""
    return bool(laid["each"].get(model, ("", ""))[0])


def address(laid: dict) -> dict:
    """The part of the address that lays the table again."""
    return {"did": laid["did"], "free": laid["free"], "pick": laid["pick"]}


def called_up(laid: dict, said: dict, tab: str) -> None:
    """An address has been followed, to a tab of the view."""
    laid["did"], laid["free"] = said.get("did", ""), "yes" if said.get("free", "") == "yes" else ""
    laid["fresh"], laid["model"] = laid["did"] != "-", ""  # all this is of the model that the address names
    laid["pick"] = said.get("pick", "") if tab != "why" else ""  # else it is of the class looked at


async def ready(host, laid: dict, model: str, say=None):
    """The name of the network on the table, made first where it is the copy that takes any size, and the core's
    sentence where there is no such copy."""
    if laid["model"] not in ("", model):
        laid["did"], laid["free"] = laid["each"].get(model, ("", ""))
    laid["model"], engine = model, host.engine.generation
    if laid["engines"].get(model, engine) != engine and laid["did"] != "-":
        laid["fresh"] = True
    laid["engines"][model] = engine
    if not laid["free"]:
        return model, ""
    if say:
        say("Making a copy that ends in the average of each map: its last layer is fitted anew, without training.")
    samples = window.URL.new("samples/", document.baseURI).href
    made = await host.ask("any_size", seconds=180, model=model, samples=samples)
    if say:
        say("")
    if made.cancelled or made.refused:
        laid["free"] = ""
        return model, made.refused or "The copy was not made: another was asked for meanwhile."
    return made.name, ""


def edits(told) -> str:
    """What the engine says was done, as the address holds it."""
    return told.edits or ("-" if list(told.changes) else "")


def blank(host) -> bool:
    """Whether the networks see zeros: weights can be changed, and their accuracy measured, without a drawing."""
    return host.pad.kind() == "blank"


async def lay(host, laid: dict, model: str):
    """The table as the address says; its answer."""
    before = laid["did"]
    name, _ = await ready(host, laid, model)
    if laid["fresh"]:
        laid["fresh"] = False
        told = await host.ask("edited", model=name, action="again", edits=laid["did"], blank=blank(host))
        found(laid, model, edits(told))
        return told
    told = await host.ask("table", model=name, blank=blank(host))
    did = edits(told)
    found(laid, model, did)
    if did != before:  # another model has been chosen, with a table of its own
        host.remember()
    return told
