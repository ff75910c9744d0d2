"""Grouping: which pieces of ink make one digit, where several may stand side by side.

Ink comes in parts: the paths of pen strokes, or the connected pieces of an image. What is known of a part is its
profile, how far left and right it reaches in each of `ROWS` bands across the height of all ink. Two neighbours have the
log-odds that a digit ends between them, from four lengths:

    odds = 11.5 room - 3.2 overlap + 4.4 lower + 6.7 wide - 4.7

room: the smallest way along a row between them, negative where they pass each other (their boxes' gap, where they
share no row). overlap: of their boxes, as a share of the narrower's width (of 0.2 at least). lower: the height of the
lower one. wide: the width of both together. A logistic regression gave the numbers, on 3,900 pairs of strokes in
numbers that `numbers.compose` made of the pen strokes of the writers who may be trained on; 97.7 % of the pairs fall on
their side. Strokes that pass each other by more than `PASSED` are of one digit.

What is surely one digit is joined, what is surely two is cut; the rest gives candidates for a network to score, and the
best row of groups is found by dynamic programming. The order of the strokes plays no part: one may write 77 and cross
both sevens at the end. All lengths are in heights of the ink, so its size does not matter either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS", "Layout", "Parts", "best_row", "height_of", "lay_out", "of_labels", "of_paths", "room"]

Floats = NDArray[np.float64]
Group = tuple[int, int]  # units from the first to before the second

ROWS = 32  # bands of the profile
SURE = 4.0  # log-odds from which geometry alone decides
PASSED = 0.18  # strokes that pass each other by more are of one digit: 210 pairs of 211
MAX_CANDIDATES = 12  # groups that a network is asked about
MAX_UNITS = 3  # units, not surely one, in a candidate
MAX_WIDE = 1.4  # widest candidate of several units; one of 1,481 written digits of several strokes is wider than 1.16
MAX_PARTS = 100  # more pieces than this are no number


@dataclass(frozen=True, eq=False)
class Parts:
    """Pieces of ink, or units of such pieces, measured in heights of all ink together.

    left, right: (n, ROWS), where each begins and ends in each band; +inf and -inf where it has no ink.
    boxes: (n, 4) x0, y0, x1, y1.
    """

    left: Floats
    right: Floats
    boxes: Floats

    def united(self, groups: Sequence[Sequence[int]]) -> Parts:
        """One part for each group of parts."""
        low = [(self.left[g].min(axis=0), self.boxes[g, :2].min(axis=0)) for g in map(list, groups)]
        high = [(self.right[g].max(axis=0), self.boxes[g, 2:].max(axis=0)) for g in map(list, groups)]
        boxes = np.array([np.concatenate((a[1], b[1])) for a, b in zip(low, high, strict=True)])
        return Parts(np.array([a[0] for a in low]), np.array([b[0] for b in high]), boxes)


@dataclass(frozen=True, eq=False)
class Layout:
    """What geometry says of a drawing.

    units: the parts of each unit, surely of one digit, from left to right. odds: (units - 1,) log-odds that a digit
    ends between neighbours. groups: candidate digits, never more than `MAX_CANDIDATES` unless as many digits are sure.
    """

    units: list[list[int]]
    odds: Floats
    groups: list[Group]

    @property
    def crowded(self) -> bool:
        """More pieces, surely apart, than a number has digits."""
        return len(self.groups) > MAX_CANDIDATES

    def parts(self, group: Group) -> list[int]:
        """The parts of a group, in their own order."""
        return sorted(part for unit in self.units[group[0] : group[1]] for part in unit)

    def prior(self, group: Group) -> float:
        """The logarithm of the probability that a group is not cut within and is cut at its end."""
        inner = self.odds[group[0] : group[1] - 1]
        end = self.odds[group[1] - 1 : group[1]]  # empty after the last unit
        return -float(np.logaddexp(0.0, inner).sum() + np.logaddexp(0.0, -end).sum())


def of_paths(paths: Sequence[Floats]) -> Parts:
    """Measure pen paths, each (n, 2) points with n at least 1."""
    points = np.concatenate(paths)
    counts = np.array([len(p) for p in paths])
    points = (points - points.min(axis=0)) / height_of(points)
    owner = np.repeat(np.arange(len(paths)), counts)
    # Points between, two to a band, so that no band is jumped over.
    first = np.flatnonzero(owner[1:] == owner[:-1])
    steps = np.maximum(np.ceil(np.abs(points[first + 1, 1] - points[first, 1]) * ROWS * 2), 1).astype(np.intp)
    share = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)) / np.repeat(steps, steps)
    start, along = np.repeat(points[first], steps, axis=0), np.repeat(points[first + 1] - points[first], steps, axis=0)
    dense = np.concatenate((points, start + along * share[:, None]))
    owner = np.concatenate((owner, np.repeat(owner[first], steps)))
    band = np.clip((dense[:, 1] * ROWS).astype(np.intp), 0, ROWS - 1)
    left, right = np.full((len(paths), ROWS), np.inf), np.full((len(paths), ROWS), -np.inf)
    np.minimum.at(left, (owner, band), dense[:, 0])
    np.maximum.at(right, (owner, band), dense[:, 0])
    pieces = np.split(points, np.cumsum(counts)[:-1])
    return Parts(left, right, np.array([(*p.min(axis=0), *p.max(axis=0)) for p in pieces]))


def of_labels(label: NDArray[np.intp], line: float) -> Parts:
    """Measure the pieces of an image, numbered in `label` (H, W) from 1 on without a gap, 0 outside.

    line: width of the pen's line in pixels. The paths lie half of it within the ink.
    """
    row, column = np.nonzero(label)
    owner = label[row, column] - 1
    count = int(owner.max()) + 1
    points = np.stack((column, row), axis=1).astype(np.float64)
    inset = line / 2
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, owner, points)
    np.maximum.at(high, owner, points + 1)
    low, high = _shrunk(low, high, inset)
    corner, height = low.min(axis=0), height_of(np.concatenate((low, high)))
    band = np.clip(((row + 0.5 - corner[1]) / height * ROWS).astype(np.intp), 0, ROWS - 1)
    left, right = np.full((count, ROWS), np.inf), np.full((count, ROWS), -np.inf)
    np.minimum.at(left, (owner, band), column.astype(np.float64))
    np.maximum.at(right, (owner, band), column + 1.0)
    left, right = _shrunk(left, right, inset)
    for i in range(count):  # an image lower than the bands has ink in some only: the others are as the one before
        known = np.flatnonzero(np.isfinite(left[i]))
        gaps = np.arange(known[0], known[-1] + 1)
        source = known[np.searchsorted(known, gaps, "right") - 1]
        left[i, gaps], right[i, gaps] = left[i, source], right[i, source]
    boxes = np.concatenate((low - corner, high - corner), axis=1) / height
    return Parts((left - corner[0]) / height, (right - corner[0]) / height, boxes)


def _shrunk(low: Floats, high: Floats, inset: float) -> tuple[Floats, Floats]:
    """Both ends moved inwards, to their middle where they would pass each other."""
    with np.errstate(invalid="ignore"):
        half = np.minimum(inset, np.where(high > low, (high - low) / 2, 0.0))
    return low + half, high - half


def height_of(points: Floats) -> float:
    """The unit of length. A flat drawing, a dash, is measured by its width: there is nothing else to go by."""
    high, low = points.max(axis=0), points.min(axis=0)
    return max(float(high[1] - low[1]), 0.2 * float(high[0] - low[0]), 1e-9)


def room(right: Floats, left: Floats) -> Floats:
    """The smallest way along a row from where one part ends to where another begins; infinity without a common row.

    A band counts together with those above and below, so that ink diagonally under other ink is near it.

    Args:
        right, left: (.., ROWS) profiles, broadcast against each other.
    """
    near = right.copy()
    near[..., 1:] = np.maximum(near[..., 1:], right[..., :-1])
    near[..., :-1] = np.maximum(near[..., :-1], right[..., 1:])
    return np.asarray((left - near).min(axis=-1), np.float64)


def odds_between(parts: Parts) -> Floats:
    """(n, n) log-odds that a digit ends between two parts, by the equation above."""
    x0, y0, x1, y1 = parts.boxes.T
    gap = np.maximum(x0[:, None], x0) - np.minimum(x1[:, None], x1)  # between the boxes; minus the overlap
    way = room(parts.right[:, None], parts.left[None, :])
    way = np.maximum(way, way.T)  # whichever stands left
    passed = way < -PASSED
    way = np.clip(np.where(np.isfinite(way), way, gap), -0.2, 0.25)
    narrow = np.maximum(np.minimum(x1 - x0, (x1 - x0)[:, None]), 0.2)
    overlap = np.clip(-gap / narrow, -1.0, 1.0)
    lower = np.minimum(y1 - y0, (y1 - y0)[:, None])
    wide = np.maximum(x1[:, None], x1) - np.minimum(x0[:, None], x0)
    odds = 11.5 * way - 3.2 * overlap + 4.4 * lower + 6.7 * wide - 4.7
    return np.asarray(np.where(passed, -2 * SURE, odds), np.float64)


def lay_out(parts: Parts) -> Layout:
    """Join what is surely one digit, cut what is surely two, and list the candidates between."""
    count = len(parts.boxes)
    if count == 1 or count > MAX_PARTS:
        return Layout([list(range(count))], np.zeros(0), [(0, 1)])
    units = [[i] for i in range(count)]
    while True:  # what was joined may now surely belong with more
        known = parts.united(units)
        odds = odds_between(known)
        together = _joined(odds < -SURE)
        if len(together) == len(units):
            break
        units = [[i for unit in group for i in units[unit]] for group in together]
    order = np.argsort(known.boxes[:, 0] + known.boxes[:, 2], kind="stable")
    between = odds[order[:-1], order[1:]]
    units = [units[i] for i in order]
    return Layout(units, between, _candidates(known.boxes[order], between))


def _joined(together: NDArray[np.bool_]) -> list[list[int]]:
    """The connected pieces of a symmetric relation."""
    rest, groups = set(range(len(together))), []
    while rest:
        front = [min(rest)]
        rest -= set(front)
        group: list[int] = []
        while front:
            here = front.pop()
            group.append(here)
            near = {int(i) for i in np.flatnonzero(together[here])} & rest
            rest -= near
            front += sorted(near)
        groups.append(sorted(group))
    return groups


def _candidates(boxes: Floats, odds: Floats) -> list[Group]:
    """All groups that the open boundaries allow; the least certain boundaries are opened first, as far as it goes."""
    state = np.sign(odds).astype(int)
    groups = _allowed(boxes, state)
    for boundary in np.argsort(np.abs(odds), kind="stable"):
        if abs(odds[boundary]) >= SURE:
            break
        before, state[boundary] = state[boundary], 0
        more = _allowed(boxes, state)
        if len(more) > MAX_CANDIDATES:
            state[boundary] = before
            break
        groups = more
    return groups


def _allowed(boxes: Floats, state: NDArray[np.intp]) -> list[Group]:
    """Groups of neighbours: no cut within (1), no join at either end (-1), few open boundaries (0), not too wide."""
    count, groups = len(boxes), []
    for first in range(count):
        if first and state[first - 1] < 0:
            continue
        opened = 0
        for last in range(first, count):
            if last > first:
                if state[last - 1] > 0:
                    break
                opened += int(state[last - 1] == 0)
            wide = boxes[first : last + 1, 2].max() - boxes[first : last + 1, 0].min()
            if opened and (opened >= MAX_UNITS or wide > MAX_WIDE):
                break
            if last + 1 == count or state[last] >= 0:
                groups.append((first, last + 1))
    return groups


def best_row(count: int, groups: Sequence[Group], scores: Sequence[float]) -> tuple[list[int], Floats]:
    """The row of groups, one after the other over all units, with the largest sum of scores.

    Args:
        count: units. groups: candidates, some row of which covers all units. scores: log-probabilities.
    Returns:
        the indices of the row's groups from left to right, and for every group the probability that it belongs to the
        right row, all rows considered (forward-backward).
    """
    order = sorted(range(len(groups)), key=lambda k: groups[k])
    best = np.full(count + 1, -np.inf)
    forward, backward = best.copy(), best.copy()
    best[0] = forward[0] = backward[count] = 0.0
    came = np.zeros(count + 1, np.intp)
    for k in order:
        start, end = groups[k]
        if best[start] + scores[k] > best[end]:
            best[end], came[end] = best[start] + scores[k], k
        forward[end] = np.logaddexp(forward[end], forward[start] + scores[k])
    for k in reversed(order):
        start, end = groups[k]
        backward[start] = np.logaddexp(backward[start], backward[end] + scores[k])
    row: list[int] = []
    at = count
    while at:
        row.insert(0, int(came[at]))
        at = groups[row[0]][0]
    share = [forward[a] + s + backward[b] - forward[count] for (a, b), s in zip(groups, scores, strict=True)]
    return row, np.exp(np.array(share))
