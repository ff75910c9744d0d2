"""The main job: digits of MNIST, digits as they are taught, and the gallery, read by the page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

CELLS = 28
ENOUGH = 0.90  # share of the drawn digits that the answer, not only the first guess, must get right


def runs(image: np.ndarray) -> Iterator[list[tuple[float, float]]]:
    """Each row's runs of pixels over 127, as horizontal strokes through the middle of the cells."""
    for row, inked in enumerate(image > 127):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], inked, [False])).astype(np.int8)))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            points = [(float(start) + 0.5, row + 0.5)]
            yield [*points, (float(end) - 0.5, row + 0.5)] if end - start > 1 else points


Drawing = tuple[int, list[list[tuple[float, float]]]]


def draw_all(desk: Any, drawings: list[Drawing], width: int, pointer: str = "mouse") -> tuple[float, str]:
    """Draw each, compare the answer with its label; the share right, and a line to report."""
    right = first = 0
    wrong: Counter[str] = Counter()
    for label, strokes in drawings:
        desk.page.evaluate("pad.clear()")
        desk.width(width)
        desk.strokes(strokes, pointer=pointer)
        answer = desk.settled()
        right += answer == str(label)
        first += desk.digit() == label
        if answer != str(label):
            wrong[f"{label} as {answer}"] += 1
    misread = ", ".join(f"{what} x{count}" for what, count in sorted(wrong.items())) or "none"
    return right / len(drawings), f"{right} of {len(drawings)} answered right, first guess {first}; wrong: {misread}"


def test_fifty_digits_of_mnist(desk: Any, mnist_test: Any, report: Callable[[str], None]) -> None:
    images, labels = mnist_test
    numbers = [int(i) for digit in range(10) for i in np.flatnonzero(labels == digit)[:5]]
    share, line = draw_all(desk, [(int(labels[i]), list(runs(images[i]))) for i in numbers], width=10)
    report(f"MNIST test digits, drawn row by row: {line}")
    assert share >= ENOUGH, line


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> list[tuple[float, float]]:
    """Part of an ellipse, in degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, end, max(2, int(abs(end - start) / 10))))
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


# A hand of our own, for repositories without the pen strokes: how one is taught to write the ten digits.
TAUGHT: dict[int, list[list[tuple[float, float]]]] = {
    0: [arc(14, 14, 5, 8, -90, 270)],
    1: [[(14.5, 5.5), (14, 14), (13.5, 22.5)]],
    2: [[*arc(14, 10, 5, 4.5, 180, 400), (9, 21.5)], [(9, 21.5), (14, 21), (20, 21.5)]],
    3: [[*arc(13.5, 9.5, 4.5, 4, 200, 430), *arc(13.5, 18, 5.5, 4.5, -80, 160)]],
    4: [[(11, 6), (8.5, 15), (19.5, 15)], [(16.5, 6), (15.5, 22.5)]],
    5: [[(18.5, 6), (11, 6), (10, 13)], arc(13.5, 17, 5.5, 5, -120, 150)],
    6: [[(16.5, 5.5), (12, 11), (9.5, 16.5)], arc(14, 17.5, 4.5, 4.5, 180, 540)],
    7: [[(8.5, 6.5), (14, 6.5), (19.5, 6.5), (16.5, 13), (13.5, 22)]],
    8: [[*arc(14, 9.8, 4, 4, 90, 450), *arc(14, 18, 5, 4.5, -90, 270)]],
    9: [arc(14, 10.5, 4.5, 4.5, 0, 360), [(18.5, 10.5), (18, 16), (16.5, 22.5)]],
}


def test_digits_as_they_are_taught(desk: Any, report: Callable[[str], None]) -> None:
    drawings = []
    for label, strokes in TAUGHT.items():
        for turn in (-8, 8):  # degrees: leaning to either side
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            turned = [(np.array(stroke) - 14) @ np.array([[c, s], [-s, c]]) + 14 for stroke in strokes]
            drawings.append((label, [[(float(x), float(y)) for x, y in stroke] for stroke in turned]))
    share, line = draw_all(desk, drawings, width=22)
    report(f"digits as they are taught: {line}")
    assert share >= ENOUGH, line


def test_the_gallery_is_read(desk: Any, gallery: list[dict[str, Any]], report: Callable[[str], None]) -> None:
    desk.get("samples").click()
    right = {False: 0, True: 0}
    for image in gallery:
        desk.get(f"sample-{image['number']}").click()
        right[image["hard"]] += desk.settled() == str(image["label"])
    plain = sum(not image["hard"] for image in gallery)
    hard = len(gallery) - plain
    report(f"gallery: {right[False]} of {plain} plain and {right[True]} of {hard} hard images answered right")
    desk.get("samples").click()
    assert {image["label"] for image in gallery} == set(range(10))
    assert right[False] >= ENOUGH * plain
