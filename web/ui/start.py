"""Begins the page: its modules come in one after the other, with the pen, the keys and the first answer in between."""

import asyncio
import sys

from pyscript import window

# In the order of who needs whom: a module's own imports are there when its turn comes. `main` wires them all.
MODULES = ("dom", "worker", "sheet", "actions", "keyboard", "views", "help", "link", "theme", "asked", "bars", "places")
MODULES += ("answer", "numbers", "seen", "picture", "gallery", "measured", "backend", "meant", "hand", "models")
MODULES += ("reader", "strip", "main")


async def begin() -> None:
    """One module, and then one step of the last, a turn of the event loop."""
    for name in MODULES:
        __import__("ui." + name)
        await window.early.turn()
    for step in sys.modules["ui.main"].STEPS:
        step()
        await window.early.turn()


_kept = {"begin": asyncio.create_task(begin())}
