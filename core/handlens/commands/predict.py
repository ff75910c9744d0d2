"""``handlens predict``: read digits from image files, prepared as the page prepares them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from .. import images
from ..errors import DataError, FormatError
from ..graph import Array
from ..io.model_file import load


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
        raise FormatError(f"{path}: is not an image; give a PNG, JPEG or other picture of one digit") from None


def read_input(path: Path) -> Array | None:
    """Images (N, 28, 28) of a file as the network takes them; None where an image is blank."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix == ".npy":
        try:
            array: Array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FormatError(f"{path}: is not a NumPy array file: {error}") from None
        if not isinstance(array, np.ndarray):
            raise FormatError(f"{path}: is an archive; give one array (28, 28) or (N, 28, 28)")
        return array[None] if array.ndim == 2 else array
    prepared = images.prepare(read_pixels(path))
    return None if prepared is None else prepared.image[None]


def run(args: argparse.Namespace) -> dict[str, Any]:
    """One answer for each image."""
    model = load(args.weights)
    answers = []
    for name in args.images:
        batch = read_input(Path(name))
        if batch is None:
            answers.append({"file": name, "answer": None, "probabilities": None})
            continue
        for row in model.predict(batch):
            answers.append({"file": name, "answer": int(row.argmax()), "probabilities": [float(p) for p in row]})
    return {"model": model.name, "answers": answers}


def text(result: dict[str, Any]) -> str:
    """A line an image."""
    lines = []
    for answer in result["answers"]:
        if answer["answer"] is None:
            lines.append(f"{answer['file']}: blank, nothing to read")
        else:
            lines.append(f"{answer['file']}: {answer['answer']} ({max(answer['probabilities']):.1%})")
    return "\n".join(lines)
