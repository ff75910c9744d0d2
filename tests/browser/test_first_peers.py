"""The pages that `make.py bench --first` sets beside ours take the drawing from the address as ours does.

They make their own 28x28 of it, in a few lines of JavaScript; the network must read the same digit in that. Needs no
peer: what is held here is done before the library is there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handlens
import hands
import numpy as np
import step_serve
from bench import first_work
from handlens import strokes
from playwright.sync_api import Browser

DRAWINGS = 20
MOST = 1  # of them may differ: the peers' pages ink with the pen's own width


def packed(drawing: list[list[tuple[float, float]]]) -> list[float]:
    """Strokes in cells, as pad.flat() packs them."""
    scale = first_work.EXTENT / hands.CELLS
    return [number for line in drawing for number in first_work.packed([(x * scale, y * scale) for x, y in line])]


def test_the_peers_pages_read_the_same_digit(
    browser: Browser, root: Path, tmp_path: Path, report: Callable[[str], None]
) -> None:
    model = handlens.load(root / "web" / "models" / "digits.safetensors")
    for name, data in first_work.files(model):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if path.suffix == ".html" else b"")
    drawings = [first_work.packed(first_work.SEVEN), *(packed(hands.drawn(digit)) for digit in hands.spread(DRAWINGS))]
    page = browser.new_page()
    made: dict[str, list[Any]] = {"tfjs": [], "ort": []}
    with step_serve.running(tmp_path) as address:
        for k, flat in enumerate(drawings):
            for name in made if k == 0 else ["tfjs"]:
                page.goto(f"{address}{name}/?{k}#draw?ink={first_work.link(flat)}")
                made[name].append(page.evaluate("Array.from(drawing)"))
                inked = "document.getElementById('pad').getContext('2d').getImageData(0, 0, 280, 280).data"
                assert page.evaluate(f"{inked}.some((value) => value === 255)"), "the drawing is shown"
    page.close()
    assert made["ort"][0] == made["tfjs"][0]
    theirs = np.array(made["tfjs"], np.float32).reshape(-1, 28, 28)
    ours = [strokes.prepare(strokes.unpack(flat), first_work.EXTENT) for flat in drawings]
    wanted = model.predict(np.array([image.image for image in ours if image], np.float32).reshape(-1, 28, 28)).argmax(1)
    found = model.predict(theirs).argmax(1)
    assert found[0] == wanted[0] == 7
    report(f"the peers' pages read {(found == wanted).mean():.0%} of {len(drawings)} drawings as ours does")
    assert (found != wanted).sum() <= MOST
    # as MNIST has it: 20 pixels on the longer side, its centre of mass in the middle
    for image in theirs:
        across, down = (np.flatnonzero(image.any(axis)) for axis in (0, 1))
        assert 19 <= max(np.ptp(across), np.ptp(down)) + 1 <= 22
        at = [(np.arange(28) * image.sum(axis)).sum() / image.sum() for axis in (0, 1)]
        assert np.allclose(at, 13.99, atol=0.52)
