"""``handlens predict``: read digits and whole numbers from image files, prepared as the page prepares them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import numbers
from ..answer import whole
from ..errors import DataError, FormatError
from ..graph import Array
from ..io.model_file import load
from ..reading import Reading, judge, rules_of


def read_pixels(path: Path) -> Array:
    """The pixels of an image file as uint8 (H, W, 4), through Pillow (the extra ``images``)."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError("reading image files needs Pillow: pip install pillow; .npy arrays need nothing") from None
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGBA"))
    except UnidentifiedImageError:
        raise FormatError(f"{path}: is not an image; give a PNG, JPEG or other picture of digits") from None


def read_arrays(path: Path) -> Array:
    """Images (N, 28, 28) of a NumPy file, as the network takes them."""
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FormatError(f"{path}: is not a NumPy array file: {error}") from None
    if not isinstance(array, np.ndarray):
        raise FormatError(f"{path}: is an archive; give one array (28, 28) or (N, 28, 28)")
    return array[None] if array.ndim == 2 else array


def described(reading: Reading, box: Sequence[float] | None) -> dict[str, Any]:
    """One digit as JSON: what it was read as, how sure, and where it stands."""
    return {
        "digit": reading.digit,
        "best": reading.best,
        "second": reading.second,
        "confidence": float(reading.probabilities[reading.best]),
        "verdict": reading.verdict,
        "sentence": reading.sentence,
        "probabilities": [float(p) for p in reading.probabilities],
        "none": reading.none,
        "box": None if box is None else [round(float(edge), 1) for edge in box],
    }


def answered(name: str, digits: Sequence[tuple[Reading, Sequence[float] | None]]) -> dict[str, Any]:
    """One image as JSON: the number as text (null where a digit of it is not answered) and its digits."""
    if not digits:
        return {"file": name, "answer": None, "text": "", "verdict": "blank", "sentence": "No ink.", "digits": []}
    together = whole([reading for reading, _ in digits])
    return {
        "file": name,
        "answer": together.text if together.answered else None,
        "text": together.text,
        "verdict": together.verdict,
        "sentence": together.sentence,
        "digits": [described(reading, box) for reading, box in digits],
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """One answer for each image: a picture may hold several digits, an array holds one."""
    model = load(args.weights, args.backend)
    rules = rules_of(model)
    answers = []
    for name in args.images:
        path = Path(name)
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        if path.suffix == ".npy":
            for row in numbers.checked_shares(model, read_arrays(path)):
                answers.append(answered(name, [(judge(row, rules), None)]))
        else:
            places = numbers.read_image(model, read_pixels(path), rules)
            answers.append(answered(name, [(place.reading, place.box) for place in places]))
    return {"model": model.name, "answers": answers}


def text(result: dict[str, Any]) -> str:
    """A line an image; where it holds several digits, a line for each of them, too."""
    lines = []
    for answer in result["answers"]:
        digits = answer["digits"]
        if not digits:
            lines.append(f"{answer['file']}: blank, nothing to read")
            continue
        share = min(digit["confidence"] for digit in digits)
        known = f" ({share:.1%})" if answer["answer"] is not None else ""
        lines.append(f"{answer['file']}: {answer['text']}{known}  {answer['sentence']}")
        if len(digits) > 1:
            for digit in digits:
                x0, y0, x1, y1 = (round(edge) for edge in digit["box"])
                shown = "?" if digit["digit"] is None else digit["digit"]
                lines.append(f"  {shown}  {digit['confidence']:6.1%}  x {x0}-{x1}, y {y0}-{y1}  {digit['sentence']}")
    return "\n".join(lines)
