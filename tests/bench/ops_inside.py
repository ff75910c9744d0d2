"""Runs inside a Pyodide worker: each op of a network on the side module, beside the peak of one core."""

from __future__ import annotations

import json

from handlens import roofline
from handlens.backends.native import library


async def answer(call: str, given: str) -> str:
    """``call`` is "measure"; see handlens.roofline."""
    return json.dumps(getattr(roofline, call)(library.find(), **json.loads(given)))
