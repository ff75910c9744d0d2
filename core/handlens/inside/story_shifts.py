"""The article's figure about small shifts: one drawing moved by every step of a square, and what each network says.

Pooling is said to make a network less sensitive to shifts. Here the whole map of it is shown: for the visitor's drawing
live, and for small networks that never saw a moved image as they were measured once (story_study).
Source: R. Zhang, "Making convolutional networks shift-invariant again", 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Sequential
from .story_counts import whole
from .story_maps import Image, example
from .story_record import record

REACH = 8  # pixels, in every direction
NEAR = 2  # pixels: shifts that are called small
# The networks of the study by their names there, and what takes the place of pooling in them.
KINDS = {
    "cnn": "max pooling",
    "averaged": "average pooling",
    "strided": "a stride",
    "bare": "neither",
    "ann": "dense",
    "linear": "linear",
}


def every_shift(images: NDArray[Any], reach: int = REACH) -> NDArray[Any]:
    """Images (N, H, W) moved by every step: (2 reach + 1, 2 reach + 1, N, H, W), first index down, second to the right,
    both from -reach on. What is moved over the edge is lost; paper, 0, comes in."""
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    places = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    return np.moveaxis(places, 0, 2)[::-1, ::-1]


def shifts(
    cnn: Sequential, ann: Sequential, linear: Sequential, image: Image | None = None, right: int = 2, down: int = 0
) -> dict[str, Any]:
    """A drawing moved by up to REACH pixels each way, read by three networks.

    rows: for each network its name; digit, what it reads unmoved; shares (2 REACH + 1, 2 REACH + 1), the share of that
    digit at every shift; kept, at how many of them it stays the answer; said, digit and share at (right, down).
    moved (28, 28): the drawing there. trained: the record of the study (`recorded`), over ``images`` test images.
    """
    drawn = example() if image is None else image
    right, down = whole(right, -REACH, REACH, "right"), whole(down, -REACH, REACH, "down")
    moved = every_shift(drawn[None])[:, :, 0]
    side = len(moved)
    batch = np.ascontiguousarray(moved.reshape(-1, 1, *drawn.shape))
    rows, here = [], (down + REACH) * side + right + REACH
    for model in (cnn, ann, linear):
        answers = model.predict(batch)[:, :10]
        digit = int(answers[side * side // 2].argmax())
        best = int(answers[here].argmax())
        rows.append(
            {
                "name": model.name,
                "digit": digit,
                "shares": answers[:, digit].reshape(side, side),
                "kept": int((answers.argmax(axis=1) == digit).sum()),
                "said": {"digit": best, "share": float(answers[here, best])},
            }
        )
    return {
        "reach": REACH,
        "right": right,
        "down": down,
        "count": side * side,
        "moved": moved[down + REACH, right + REACH],
        "rows": rows,
        "trained": recorded(),
        "images": record()["shifts"]["images"],
        "near": NEAR,
    }


def accuracies(
    model: Sequential, images: NDArray[np.uint8], labels: NDArray[np.uint8], reach: int = REACH
) -> NDArray[np.float64]:
    """(2 reach + 1, 2 reach + 1): the share of test images (N, 28, 28) read right at every shift."""
    x = images.astype(np.float32) / np.float32(255)
    return np.array(
        [
            [float((model.predict(each[:, None])[:, :10].argmax(axis=1) == labels).mean()) for each in line]
            for line in every_shift(x, reach)
        ]
    )


def near(accuracy: NDArray[np.float64], within: int = NEAR) -> float:
    """The mean over all shifts by up to ``within`` pixels each way, the unmoved place left out."""
    middle = len(accuracy) // 2
    part = accuracy[middle - within : middle + within + 1, middle - within : middle + within + 1]
    return float((part.sum() - accuracy[middle, middle]) / (part.size - 1))


def recorded() -> list[dict[str, Any]]:
    """The study's networks: name, words (what they have for pooling), map (2 REACH + 1, 2 REACH + 1), still, near."""
    found = []
    for name, words in KINDS.items():
        map_ = np.array(record()["shifts"]["accuracy"][name], np.float32)
        still = float(map_[REACH, REACH])
        found.append({"name": name, "words": words, "map": map_, "still": still, "near": near(map_.astype(np.float64))})
    return found
