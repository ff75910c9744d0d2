"""What was measured on drawn digits, quoted from the file of the model that answers; nothing where nothing was."""

from ui import dom, seen

GROUPS = (
    ("brush", "for a pen of another width"),
    ("corner", "at a quarter of the size in a corner"),
    ("rotation", "turned by up to 15\u00b0"),
)

_line, _note = dom.find("measured"), dom.find("stages-note")


def _digits(drawn) -> str:
    """The digits, their writers, and how many were read right."""
    writers = len(drawn["writers"])
    people = f" by {writers} people whose hands it never learned from" if writers else " of the project's own generator"
    text = (
        f"{dom.thousands(drawn['digits'])} digits drawn with a pen{people}: {dom.percent(drawn['accuracy'])} read right"
    )
    if drawn.get("by_writer"):
        worst = min([row["accuracy"] for row in drawn["by_writer"]])
        text += f", {dom.percent(worst)} of the person's it reads worst"
    return text + "."


def _conditions(drawn) -> str:
    """The lowest of the conditions that a visitor sets without thinking of it."""
    lowest = drawn.get("lowest") or {}
    said = [(words, lowest[group]["accuracy"]) for group, words in GROUPS if lowest.get(group)]
    if not said:
        return ""
    return " At worst " + ", ".join([f"{dom.percent(share)} {words}" for words, share in said]) + "."


def _refusals(drawn) -> str:
    """What is left unanswered, of digits and of what is none."""
    text = f" {dom.percent(drawn['refused'])} of them it would not answer"
    text += f"; of those it answered, {dom.percent(drawn['right_of_answered'])} were right."
    rejects = drawn.get("rejects")
    if rejects:
        text += f" Of {dom.thousands(rejects['count'])} scribbles, shapes and letters of fonts, all of kinds it never"
        text += f" learned from, it refused {dom.percent(rejects['refused'])}; no letters by people were at hand."
    return text


def show(name: str, facts) -> None:
    """Quote the measurements of the model called `name`."""
    drawn = facts.get("drawn") if facts else None
    seen.show_costs(drawn)
    _note.textContent = _line.textContent = ""
    if not drawn:
        return
    dom.make("b", name, _line)
    _line.append(" on " + _digits(drawn) + _conditions(drawn) + _refusals(drawn))
    stages = drawn.get("stages")
    if stages:
        _note.textContent = (
            "Switch a step off to see the damage. Beside each, what that costs in accuracy, in percentage points, on "
            f"digits drawn at any size and place with any pen ({dom.percent(stages['on'])} right with all of them on)."
        )
