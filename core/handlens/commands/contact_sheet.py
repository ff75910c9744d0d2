"""A contact sheet: the digits that were read wrongly, each as it stood on the pad and as the network saw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..drawn import Mistake
from ..errors import DataError
from ..reading import DIGITS

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MOST", "checked_path", "draw"]

MOST = 240  # mistakes on one sheet
COLUMNS = 6
SIDE = 112  # pixels of a picture: four to one of the 28x28
GAP = 12
LINE = 14  # pixels of a line of text
HEAD = 30


def checked_path(path: str) -> Path:
    """The path, once it is sure that a sheet can be written there; asked before the minutes of measuring."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError("a contact sheet needs Pillow: pip install pillow") from None
    if not Path(path).resolve().parent.is_dir():
        raise DataError(f"the folder of {path!r} does not exist; make it, or give another --sheet")
    return Path(path)


def draw(mistakes: Sequence[Mistake], conditions: int, title: str) -> Image:
    """Draw the sheet.

    Args:
        mistakes: in the order shown; what exceeds `MOST` is left out, and the title says so. conditions: how many each
            digit was drawn under. title: one line.
    Returns:
        an 8-bit greyscale picture, ink dark.
    """
    from PIL import Image, ImageDraw

    shown = mistakes[:MOST]
    width, height = 2 * SIDE + 2 + GAP, SIDE + 2 * LINE + GAP
    rows = max(1, -(-len(shown) // COLUMNS))
    sheet = Image.new("L", (COLUMNS * width + GAP, rows * height + HEAD + GAP), 255)
    pen = ImageDraw.Draw(sheet)
    left_out = f"; the first {MOST} are shown" if len(mistakes) > MOST else ""
    pen.text((GAP, GAP), title + left_out, fill=0)
    for i, mistake in enumerate(shown):
        x, y = GAP + i % COLUMNS * width, HEAD + GAP + i // COLUMNS * height
        for k, ink in enumerate((mistake.prepared.ink, mistake.prepared.image)):
            smooth = Image.Resampling.BILINEAR if k == 0 else Image.Resampling.NEAREST
            picture = Image.fromarray(np.uint8(255 - np.round(ink * 255))).resize((SIDE, SIDE), smooth)
            sheet.paste(picture, (x + k * (SIDE + 2), y))
            pen.rectangle((x + k * (SIDE + 2), y, x + k * (SIDE + 2) + SIDE - 1, y + SIDE - 1), outline=190)
        for k, line in enumerate(_caption(mistake, conditions)):
            pen.text((x, y + SIDE + 2 + k * LINE), line, fill=0)
    return sheet


def _caption(mistake: Mistake, conditions: int) -> tuple[str, str]:
    """What it is, what it was read as, who wrote it, and how often it was read wrongly."""
    shares: Any = mistake.probabilities
    read = int(shares.argmax())
    name = "none" if read == DIGITS else str(read)
    first = (
        f"{mistake.digit.label} read as {name} ({shares[read]:.0%}), as {mistake.digit.label} "
        f"{shares[mistake.digit.label]:.0%}"
    )
    writer = f"writer {mistake.digit.writer}, " if mistake.digit.writer >= 0 else ""
    times, where = len(mistake.conditions), mistake.conditions[0]
    return first, f"{writer}{times} of {conditions}, {where}" if times < conditions else f"{writer}always"
