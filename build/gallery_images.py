#!/usr/bin/env python3
"""Choose the gallery's test images from MNIST: `python3 build/gallery_images.py FOLDER` (with the four IDX files).

Of each digit ROWS images: plain ones, spread over the way people write it, and hard ones. Hard is what a linear
least-squares reading of the pixels, fitted here to the 60,000 training images, gets most wrong; plain is what it gets
right. No network of ours has a say, and nothing is chosen by random, so the same files give the same gallery.
Writes web/gallery/digits.idx3-ubyte (an IDX file of the images) and index.json (what they are).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GALLERY = Path(__file__).resolve().parent.parent / "web" / "gallery"
PLAIN, HARD = 4, 2  # rows of ten digits
RIDGE = 1e3  # keeps the border pixels, which are never inked, from making the system singular


def read_idx(path: Path, header: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes behind an IDX header."""
    return np.frombuffer(path.read_bytes(), np.uint8, offset=header).reshape(shape)


def flat(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Pixels in 0..1 with a one for the bias, a row an image."""
    pixels = images.reshape(len(images), -1) / 255.0
    return np.concatenate((pixels, np.ones((len(images), 1))), axis=1)


def margins(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far the linear reading's score of the right digit stands above the best wrong one; negative: misread."""
    train = flat(read_idx(folder / "train-images-idx3-ubyte", 16, (-1, 28, 28)))
    wanted = np.eye(10)[read_idx(folder / "train-labels-idx1-ubyte", 8, (-1,))]
    weights = np.linalg.solve(train.T @ train + RIDGE * np.eye(train.shape[1]), train.T @ wanted)
    scores = flat(images) @ weights
    right = scores[np.arange(len(labels)), labels]
    scores[np.arange(len(labels)), labels] = -np.inf
    return right - scores.max(axis=1)


def spread(candidates: NDArray[np.intp], pixels: NDArray[np.float64], count: int) -> list[int]:
    """`count` candidates that differ: the first, then always the one farthest from those taken."""
    chosen = [int(candidates[0])]
    while len(chosen) < count:
        distances = [((pixels[candidates] - pixels[i]) ** 2).sum(axis=1) for i in chosen]
        chosen.append(int(candidates[np.min(distances, axis=0).argmax()]))
    return chosen


def choose(folder: Path) -> tuple[list[dict[str, int | bool]], NDArray[np.uint8]]:
    """The entries of index.json and all test images."""
    images = read_idx(folder / "t10k-images-idx3-ubyte", 16, (-1, 28, 28))
    labels = read_idx(folder / "t10k-labels-idx1-ubyte", 8, (-1,))
    margin, pixels = margins(folder, images, labels), flat(images)
    columns = []
    for digit in range(10):
        of_digit = np.flatnonzero(labels == digit)
        by_margin = of_digit[np.argsort(margin[of_digit], kind="stable")]
        clear = by_margin[::-1][: len(by_margin) // 2]  # the easier half
        columns.append(spread(clear, pixels, PLAIN) + [int(i) for i in by_margin[:HARD]])
    rows = [[column[row] for column in columns] for row in range(PLAIN + HARD)]
    entries: list[dict[str, int | bool]] = [
        {"number": number, "label": int(labels[number]), "hard": row >= PLAIN}
        for row, numbers in enumerate(rows)
        for number in numbers
    ]
    return entries, images


def main(folder: Path) -> None:
    """Write the gallery and say what it holds."""
    entries, images = choose(folder)
    taken = images[[int(entry["number"]) for entry in entries]]
    header = b"".join(value.to_bytes(4, "big") for value in (0x803, *taken.shape))
    GALLERY.mkdir(exist_ok=True)
    (GALLERY / "digits.idx3-ubyte").write_bytes(header + taken.tobytes())
    lines = ",\n".join("    " + json.dumps(entry) for entry in entries)
    text = f'{{\n  "file": "digits.idx3-ubyte",\n  "columns": 10,\n  "images": [\n{lines}\n  ]\n}}\n'
    (GALLERY / "index.json").write_text(text, encoding="utf-8")
    print(f"web/gallery: {len(entries)} images, {len(header) + taken.nbytes} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 build/gallery_images.py FOLDER, the folder of the four MNIST files")
    main(Path(sys.argv[1]))
